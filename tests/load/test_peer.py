"""The load generator's connection against a peer that sends frames which our servers never send."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from load import frames
from load.blocks import block_of
from load.calls import NotSent, Reset, framed
from load.frames import ErrorCode, FrameReader, Setting, Type
from load.http2 import Connection
from load.statuses import Failed

BEGIN = block_of([(":status", "200"), ("content-type", "application/grpc")])
WELL = block_of([("grpc-status", "0"), ("x-request-id", "7")])
LATE = block_of([("x-request-id", "7"), ("grpc-status", "0")])


class Peer:
    """The server's side of one connection: it reads frames, and sends what the test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = FrameReader()
        self._read: list[frames.Frame] = []

    async def greet(self, settings: dict[Setting, int]) -> None:
        assert await self._reader.readexactly(len(frames.PREFACE)) == frames.PREFACE
        self.send(frames.settings(settings))

    def send(self, *sent: bytes) -> None:
        self._writer.write(b"".join(sent))

    async def next(self, *kinds: Type) -> frames.Frame:
        """The next frame of these kinds; earlier ones are skipped."""
        while True:
            while self._read:
                frame = self._read.pop(0)
                if frame[0] in kinds:
                    return frame
            received = await asyncio.wait_for(self._reader.read(65_536), 300)
            assert received, "the connection ended"
            self._read.extend(self._frames.feed(received))

    async def call(self) -> int:
        """The number of the next call, once its request has arrived."""
        while True:
            _, flags, number, _ = await self.next(Type.DATA)
            if flags & frames.END_STREAM:
                return number

    def close(self) -> None:
        self._writer.transport.abort()


def answer(number: int, message: bytes, end: bytes = WELL) -> bytes:
    return b"".join(
        [frames.headers(number, BEGIN), frames.data(number, framed(message)), frames.headers(number, end, ends=True)]
    )


@asynccontextmanager
async def talking(
    settings: dict[Setting, int] | None = None, *, deadline: float = 30.0
) -> AsyncIterator[tuple[Connection, Peer]]:
    """A connection and its peer, which has sent these settings."""
    peers: asyncio.Queue[Peer] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        await peer.greet(settings or {})
        await peers.put(peer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    connection = await Connection.open(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", deadline=deadline)
    peer = await peers.get()
    try:
        yield connection, peer
    finally:
        await connection.close()
        peer.close()
        server.close()
        await server.wait_closed()


Script = Callable[[int], list[bytes]]

ANSWERS: dict[str, Script] = {
    "at once": lambda number: [answer(number, b"tea")],
    "byte by byte": lambda number: [bytes([byte]) for byte in answer(number, b"tea")],
    "a status behind other headers": lambda number: [answer(number, b"tea", LATE)],
    "headers in many frames": lambda number: [
        frames.frame(Type.HEADERS, 0, number, BEGIN[:3]),
        frames.frame(Type.CONTINUATION, 0, number, BEGIN[3:5]),
        frames.frame(Type.CONTINUATION, frames.END_HEADERS, number, BEGIN[5:]),
        frames.data(number, framed(b"tea")),
        frames.frame(Type.HEADERS, frames.END_STREAM, number, WELL[:1]),
        frames.frame(Type.CONTINUATION, frames.END_HEADERS, number, WELL[1:]),
    ],
    "padding and priority": lambda number: [
        frames.frame(
            Type.HEADERS,
            frames.END_HEADERS | frames.PADDED | frames.PRIORITY,
            number,
            b"\x02" + b"\0" * 5 + BEGIN + b"\0\0",
        ),
        frames.frame(Type.DATA, frames.PADDED, number, b"\x03" + framed(b"tea") + b"\0\0\0"),
        frames.headers(number, WELL, ends=True),
    ],
    "data in many frames": lambda number: [
        frames.headers(number, BEGIN),
        *[frames.data(number, bytes([byte])) for byte in framed(b"tea")],
        frames.data(number, b""),
        frames.headers(number, WELL, ends=True),
    ],
    "an early hint, and frames of unknown kinds": lambda number: [
        frames.headers(number, block_of([(":status", "103")])),
        frames.frame(0x77, 0xFF, number, b"?"),
        frames.frame(0x2, 0, number, bytes(5)),
        answer(number, b"tea"),
    ],
}


@pytest.mark.parametrize("how", ANSWERS)
async def test_a_response_is_read_from_any_frames(how: str) -> None:
    """As HTTP/2 allows them."""
    async with talking() as (connection, peer):
        answered = asyncio.ensure_future(connection.method("/a/B")(b"please"))
        for piece in ANSWERS[how](await peer.call()):
            peer.send(piece)
            await asyncio.sleep(0)
        assert await asyncio.wait_for(answered, 60) == b"tea"


ENDS: dict[str, tuple[Script, type[Exception], str]] = {
    "an answer of headers alone": (
        lambda number: [
            frames.headers(
                number, block_of([(":status", "200"), ("grpc-status", "5"), ("grpc-message", "no%20tea")]), ends=True
            )
        ],
        Failed,
        "NOT_FOUND: no tea",
    ),
    "a proxy's page": (
        lambda number: [
            frames.headers(number, block_of([(":status", "502")])),
            frames.data(number, b"<html>", ends=True),
        ],
        Failed,
        "UNKNOWN: an answer without a gRPC status, of HTTP status 502",
    ),
    "an end without a status": (
        lambda number: [frames.headers(number, BEGIN), frames.data(number, framed(b"tea"), ends=True)],
        Failed,
        "UNKNOWN: the answer ended without a status",
    ),
    "two messages": (
        lambda number: [
            frames.headers(number, BEGIN),
            frames.data(number, framed(b"tea") * 2),
            frames.headers(number, WELL, ends=True),
        ],
        Failed,
        "INTERNAL: the answer is not one uncompressed message",
    ),
    "a status of no known number": (
        lambda number: [answer(number, b"", block_of([("grpc-status", "99")]))],
        Failed,
        "UNKNOWN: ",
    ),
    "a reset": (lambda number: [frames.rst_stream(number, ErrorCode.INTERNAL_ERROR)], Reset, "INTERNAL_ERROR"),
    "a refused stream": (lambda number: [frames.rst_stream(number, ErrorCode.REFUSED_STREAM)], NotSent, "not take"),
}


@pytest.mark.parametrize("how", ENDS)
async def test_a_failed_call_raises_and_the_connection_continues(how: str) -> None:
    """With a separate error for each way to end."""
    script, kind, said = ENDS[how]
    async with talking() as (connection, peer):
        call = connection.method("/a/B")
        failing = asyncio.ensure_future(call(b"please"))
        peer.send(*script(await peer.call()))
        with pytest.raises(kind, match=said) as raised:
            await asyncio.wait_for(failing, 60)
        assert type(raised.value) is kind
        well = asyncio.ensure_future(call(b"again"))
        peer.send(answer(await peer.call(), b"tea"))
        assert await asyncio.wait_for(well, 60) == b"tea"


MISTAKES: dict[str, Script] = {
    "a block that something else interrupts": lambda number: [
        frames.frame(Type.HEADERS, 0, number, BEGIN),
        frames.data(number, b""),
    ],
    "a block that goes on in another call": lambda number: [
        frames.frame(Type.HEADERS, 0, number, BEGIN),
        frames.frame(Type.CONTINUATION, frames.END_HEADERS, number + 2, b""),
    ],
    "a block that never ends": lambda number: [
        frames.frame(Type.HEADERS, 0, number, BEGIN),
        *[frames.frame(Type.CONTINUATION, 0, number, bytes(16_000))] * 6,
    ],
    "a block that never began": lambda number: [frames.frame(Type.CONTINUATION, 0, number, BEGIN)],
    "a reference into the empty table": lambda number: [frames.headers(number, b"\xbe")],
    "a push": lambda number: [frames.frame(Type.PUSH_PROMISE, 0, number, bytes(8))],
    "a frame that is too large": lambda number: [frames.frame(Type.DATA, 0, number, bytes(16_385))],
    "a window out of its bounds": lambda _number: [frames.settings({Setting.INITIAL_WINDOW_SIZE: 2**31})],
}


@pytest.mark.parametrize("how", MISTAKES)
async def test_invalid_http2_ends_the_connection(how: str) -> None:
    """The calls under way get an error, and the peer gets the reason."""
    async with talking() as (connection, peer):
        call = connection.method("/a/B")
        failing = asyncio.ensure_future(call(b"please"))
        peer.send(*MISTAKES[how](await peer.call()))
        with pytest.raises(frames.Malformed):
            await asyncio.wait_for(failing, 60)
        _, _, _, payload = await peer.next(Type.GOAWAY)
        assert frames.read_goaway(payload)[1] == ErrorCode.PROTOCOL_ERROR
        assert connection.ending
        with pytest.raises(NotSent):
            call(b"again")


async def test_a_peer_that_goes_away_ends_the_calls_that_it_will_not_process() -> None:
    """The others are still answered, and no further one is sent."""
    async with talking() as (connection, peer):
        call = connection.method("/a/B")
        calls = [asyncio.ensure_future(call(b"please")) for _ in range(3)]
        numbers = [await peer.call() for _ in calls]
        peer.send(frames.frame(Type.GOAWAY, 0, 0, numbers[0].to_bytes(4, "big") + bytes(4) + b"old age"))
        for late in calls[1:]:
            with pytest.raises(NotSent, match="NO_ERROR old age"):
                await asyncio.wait_for(late, 60)
        with pytest.raises(NotSent):
            call(b"again")
        peer.send(answer(numbers[0], b"tea"))
        assert await asyncio.wait_for(calls[0], 60) == b"tea"


async def test_a_broken_connection_leaves_the_outcome_of_its_calls_unknown() -> None:
    """The error differs from that of a call which the peer never processed."""
    async with talking() as (connection, peer):
        call = connection.method("/a/B")
        stream = await connection.stream("/a/C")
        answered = asyncio.ensure_future(call(b"please"))
        await peer.call()
        peer.close()
        for waiting in (answered, stream.receive()):
            with pytest.raises(ConnectionError) as raised:
                await asyncio.wait_for(waiting, 60)
            assert not isinstance(raised.value, NotSent)
        with pytest.raises(NotSent):
            call(b"again")


async def test_a_ping_is_answered_with_its_content() -> None:
    """And a ping's answer is not answered."""
    async with talking() as (_, peer):
        peer.send(frames.frame(Type.PING, frames.ACK, 0, b"answered"), frames.frame(Type.PING, 0, 0, b"12345678"))
        _, flags, _, payload = await peer.next(Type.PING)
        assert (flags, payload) == (frames.ACK, b"12345678")


async def test_a_message_waits_for_the_windows_of_its_peer() -> None:
    """A change of the initial window applies to calls under way, too, even if it shrinks."""
    async with talking({Setting.INITIAL_WINDOW_SIZE: 10}) as (connection, peer):
        message = bytes(range(95))
        answered = asyncio.ensure_future(connection.method("/a/B")(message))
        _, flags, number, sent = await peer.next(Type.DATA)
        assert len(sent) == 10
        room = [
            (frames.window_update(number, 20), 20),
            (frames.settings({Setting.INITIAL_WINDOW_SIZE: 5}) + frames.window_update(number, 15), 10),
            (frames.settings({Setting.INITIAL_WINDOW_SIZE: 15}), 10),
            (frames.window_update(number, 2**20), 50),
        ]
        for more, size in room:
            assert not flags & frames.END_STREAM
            peer.send(more)
            _, flags, _, payload = await peer.next(Type.DATA)
            assert len(payload) == size
            sent += payload
        assert flags & frames.END_STREAM
        assert sent == framed(message)
        peer.send(answer(number, b"tea"))
        assert await asyncio.wait_for(answered, 60) == b"tea"


async def test_all_calls_together_respect_the_connections_window() -> None:
    """The rest waits, in frames of the peer's size limit."""
    async with talking({Setting.INITIAL_WINDOW_SIZE: 2**20}) as (connection, peer):
        call = connection.method("/a/B")
        large, small = asyncio.ensure_future(call(bytes(100_000))), asyncio.ensure_future(call(b"please"))
        sent = 0
        while sent < frames.FIRST_WINDOW:
            _, flags, _, payload = await peer.next(Type.DATA)
            assert not flags & frames.END_STREAM
            sent += len(payload)
        assert sent == frames.FIRST_WINDOW
        peer.send(frames.window_update(0, 2**20))
        for _ in (large, small):
            peer.send(answer(await peer.call(), b"tea"))
        assert await asyncio.wait_for(large, 60) == b"tea"
        assert await asyncio.wait_for(small, 60) == b"tea"


async def test_a_call_that_is_answered_before_it_is_sent_sends_no_more() -> None:
    """The peer is told that the rest will not follow, and unsent data is dropped."""
    async with talking({Setting.INITIAL_WINDOW_SIZE: 10}) as (connection, peer):
        failing = asyncio.ensure_future(connection.method("/a/B")(bytes(100)))
        _, _, number, _ = await peer.next(Type.DATA)
        end = block_of([(":status", "200"), ("grpc-status", "3"), ("grpc-message", "too long")])
        peer.send(frames.headers(number, end, ends=True))
        with pytest.raises(Failed, match="too long"):
            await asyncio.wait_for(failing, 60)
        assert frames.read_number((await peer.next(Type.RST_STREAM))[3]) == ErrorCode.CANCEL
        peer.send(frames.window_update(number, 1000), frames.frame(Type.PING, 0, 0, bytes(8)))
        assert (await peer.next(Type.DATA, Type.PING))[0] == Type.PING


async def test_calls_wait_until_the_peer_allows_more() -> None:
    """By a change of its settings, or as others end; one without a caller is not sent."""
    async with talking({Setting.MAX_CONCURRENT_STREAMS: 1}) as (connection, peer):
        call = connection.method("/a/B")
        calls = [asyncio.ensure_future(call(b"%d" % number)) for number in range(4)]
        first = await peer.call()
        calls[1].cancel()
        peer.send(frames.frame(Type.PING, 0, 0, bytes(8)))
        assert (await peer.next(Type.DATA, Type.PING))[0] == Type.PING
        peer.send(answer(first, b"0"))
        _, _, second, payload = await peer.next(Type.DATA)
        assert payload == framed(b"2")
        peer.send(frames.settings({Setting.MAX_CONCURRENT_STREAMS: 2}))
        _, _, third, payload = await peer.next(Type.DATA)
        assert payload == framed(b"3")
        peer.send(answer(third, b"3"), answer(second, b"2"))
        assert await asyncio.wait_for(asyncio.gather(calls[0], *calls[2:]), 60) == [b"0", b"2", b"3"]


async def test_a_call_that_times_out_is_given_up() -> None:
    """The peer is told; one that was waiting was never sent. The deadline is sent with each call."""
    async with talking({Setting.MAX_CONCURRENT_STREAMS: 1}, deadline=0.2) as (connection, peer):
        call = connection.method("/a/B")
        late, waiting = asyncio.ensure_future(call(b"")), asyncio.ensure_future(call(b""))
        _, _, _, block = await peer.next(Type.HEADERS)
        assert b"grpc-timeout\x04200m" in block
        number = await peer.call()
        with pytest.raises(Failed, match="DEADLINE_EXCEEDED"):
            await asyncio.wait_for(late, 60)
        with pytest.raises((NotSent, Failed)):
            await asyncio.wait_for(waiting, 60)
        assert (await peer.next(Type.RST_STREAM))[2] == number


async def test_the_peer_is_told_of_an_abandoned_call() -> None:
    """So that it need not continue."""
    async with talking() as (connection, peer):
        calling = asyncio.ensure_future(connection.method("/a/B")(b""))
        number = await peer.call()
        calling.cancel()
        assert (await peer.next(Type.RST_STREAM))[2] == number


async def test_a_stream_accepts_messages_however_they_are_split() -> None:
    """Several in a frame, or one in several frames."""
    async with talking() as (connection, peer):
        stream = await connection.stream("/a/B")
        _, _, number, _ = await peer.next(Type.HEADERS)
        whole = b"".join(framed(bytes([size]) * size) for size in range(5))
        peer.send(frames.headers(number, BEGIN))
        for begin, end in itertools.pairwise([0, 1, 7, 12, 30, len(whole)]):
            peer.send(frames.data(number, whole[begin:end]))
        for size in range(5):
            assert await asyncio.wait_for(stream.receive(), 60) == bytes([size]) * size
        peer.send(frames.data(number, framed(b"tea")[:-1]), frames.headers(number, WELL, ends=True))
        with pytest.raises(Failed, match="not whole"):
            await asyncio.wait_for(stream.receive(), 60)


async def test_a_closed_connection_raises() -> None:
    """The calls under way end, and the peer is told."""
    async with talking() as (connection, peer):
        answered = asyncio.ensure_future(connection.method("/a/B")(b""))
        await peer.call()
        await connection.close()
        with pytest.raises(ConnectionError, match="closed"):
            await answered
        assert frames.read_goaway((await peer.next(Type.GOAWAY))[3])[1] == ErrorCode.NO_ERROR
