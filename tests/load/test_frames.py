import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load import frames
from load.blocks import BlockReader, block_of
from load.frames import Frame, FrameReader, Malformed, Setting, Type

FRAMES = st.lists(
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**31 - 1), st.binary(max_size=300)), max_size=8
)
NAMES = st.text(st.characters(codec="ascii", categories=["Ll", "Nd"]), min_size=1, max_size=30)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=200)


def cut(whole: bytes, places: Sequence[int]) -> list[bytes]:
    """The bytes, split at these positions."""
    edges = [0, *sorted(min(place, len(whole)) for place in places), len(whole)]
    return [whole[begin:end] for begin, end in itertools.pairwise(edges)]


@given(sent=FRAMES, places=st.lists(st.integers(0, 3000), max_size=20))
def test_frames_split_at_any_bytes_read_the_same(sent: list[Frame], places: list[int]) -> None:
    """A connection may deliver them in pieces of any size, down to single bytes and to nothing."""
    reader = FrameReader()
    pieces = cut(b"".join(frames.frame(*one) for one in sent), places)
    assert [found for piece in pieces for found in reader.feed(piece)] == sent


@given(content=st.binary(max_size=300), padding=st.integers(0, 255), priority=st.booleans())
def test_padding_and_priority_are_removed(content: bytes, padding: int, *, priority: bool) -> None:
    """Only the content is left."""
    padded = bytes([padding]) + (b"\0" * 5 if priority else b"") + content + b"\0" * padding
    flags = frames.PADDED | (frames.PRIORITY if priority else 0)
    assert frames.content(flags, padded) == content
    assert frames.content(0, content) == content


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x05abcd"])
def test_padding_larger_than_its_frame_is_malformed(payload: bytes) -> None:
    """It is an error of the peer, and not an empty frame."""
    with pytest.raises(Malformed):
        frames.content(frames.PADDED, payload)


@given(size=st.integers(1, 60_000))
def test_a_large_block_is_sent_in_frames_that_every_peer_accepts(size: int) -> None:
    """The first is HEADERS, and only the last ends the block."""
    block = bytes(size)
    sent = list(FrameReader().feed(frames.headers(5, block, ends=True)))
    assert b"".join(payload for *_, payload in sent) == block
    assert max(len(payload) for *_, payload in sent) <= frames.MAX_FRAME
    assert [kind for kind, *_ in sent] == [Type.HEADERS, *[Type.CONTINUATION] * (len(sent) - 1)]
    assert [bool(flags & frames.END_HEADERS) for _, flags, *_ in sent] == [*[False] * (len(sent) - 1), True]
    assert sent[0][1] & frames.END_STREAM


def test_a_frame_larger_than_was_announced_is_malformed() -> None:
    """Its size is known before its payload has arrived."""
    with pytest.raises(Malformed):
        list(FrameReader().feed(frames.frame(Type.DATA, 0, 1, bytes(frames.MAX_FRAME + 1))[:9]))


@pytest.mark.parametrize("read", [frames.read_settings, frames.read_number, frames.read_goaway])
def test_a_payload_of_a_wrong_size_is_malformed(read: object) -> None:
    """Incomplete numbers are not guessed."""
    assert callable(read)
    with pytest.raises(Malformed):
        read(b"\0\0\0")


def test_settings_are_parsed_as_they_were_written() -> None:
    """By their numbers, so that unknown ones do no harm."""
    values = {Setting.HEADER_TABLE_SIZE: 0, Setting.INITIAL_WINDOW_SIZE: 2**31 - 1}
    [(kind, flags, stream, payload)] = FrameReader().feed(frames.settings(values))
    assert (kind, flags, stream) == (Type.SETTINGS, 0, 0)
    assert frames.read_settings(payload) == values


@given(headers=st.dictionaries(NAMES, VALUES, max_size=8))
def test_a_block_is_decoded_unchanged_each_time(headers: dict[str, str]) -> None:
    """It carries no state, so it can be sent again."""
    block, reader = block_of(headers.items()), BlockReader()
    assert reader.read(block) == headers
    assert reader.read(block) == headers


@given(blocks=st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_are_a_block_or_malformed(blocks: list[bytes]) -> None:
    """An error of the peer ends the connection, without another error."""
    reader = BlockReader()
    for block in blocks:
        try:
            reader.read(block)
        except Malformed:
            continue


@pytest.mark.parametrize("kind", [b"\x40", b"\x00", b"\x10"])
def test_every_encoding_of_status_0_means_success(kind: bytes) -> None:
    """And of 01, 1 or 13 does not."""
    reader = BlockReader()
    assert reader.ends_well(kind + b"\x0bgrpc-status\x010" + block_of([("x-request-id", "7")]))
    for status in ("1", "13", "01"):
        assert not reader.ends_well(kind + b"\x0bgrpc-status" + bytes([len(status)]) + status.encode())
