"""The attacks, one row each: what one connection of up to 1,000 streams sends with at most 1 MB."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from load import frames
from load.frames import ErrorCode, Setting, Type
from tests.attacks.wire import GZIP, Attacker, attacker, field, message

STREAMS = 1000
BYTES = 1_000_000
HOLD_SECONDS = 1.0
"""How long an attacker keeps everything open, by which time its cost has shown."""

WATCH = "/grpc.health.v1.Health/Watch"
CHECK = "/grpc.health.v1.Health/Check"
REFLECT = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
GET_ME = "/backroom.identity.v1.IdentityService/GetMe"
LOGIN = "/backroom.identity.v1.IdentityService/Login"
REGISTER = "/backroom.identity.v1.IdentityService/Register"
GET_ORDER = "/backroom.commerce.v1.OrderService/GetOrder"
PLACE = "/backroom.commerce.v1.OrderService/PlaceOrder"
PLACE_MANY = "/backroom.commerce.v1.OrderService/PlaceOrders"
WATCH_ORDERS = "/backroom.commerce.v1.OrderService/WatchOrders"
UNKNOWN = "/backroom.nothing.v1.NoService/Nothing"

Act = Callable[[Attacker], None]


@dataclass(frozen=True, slots=True)
class Attack:
    """One way to make a server work for nothing."""

    name: str
    act: Act
    who: str = "stranger"
    reads: bool = True
    acknowledges: bool = True
    connections: int = 1
    exceeds: str = ""
    """Why it exceeds the budget, if it does."""
    bodies: bool = False
    """Whether each method's bound on its body, or the refusal of compressed bodies, stops it."""

    def run(self, port: int, token: str, address: str) -> int:
        """Attacks from an address of this machine; returns how many bytes were sent."""
        with ExitStack() as opened:
            attackers = [
                opened.enter_context(
                    attacker(port, token, address=address, reads=self.reads, acknowledges=self.acknowledges)
                )
                for _ in range(self.connections)
            ]
            for each in attackers:
                self.act(each)
            time.sleep(HOLD_SECONDS)
            return sum(each.sent for each in attackers)


def _many_calls(path: str, body: bytes, *, token: bool = False, count: int = STREAMS, ends: bool = True) -> Act:
    def act(by: Attacker) -> None:
        for _ in range(count):
            if ends:
                by.call(path, body, token=token)
            else:
                by.open(path, token=token)

    return act


def _compressed(path: str, content: bytes, *, token: bool = False) -> Act:
    """As many calls as 1 MB holds, with a body that is far larger when decompressed."""

    def act(by: Attacker) -> None:
        body = message(content, compressed=True)
        for _ in range(min(STREAMS, BYTES // (len(body) + 100))):
            by.call(path, body, GZIP, token=token)

    return act


def _half_sent(path: str, announced: int, sent: int, *, token: bool = False) -> Act:
    """Calls whose messages are announced and never sent completely."""

    def act(by: Attacker) -> None:
        body = message(b"\0" * announced)[: 5 + sent]
        for _ in range(STREAMS):
            number = by.open(path, token=token)
            by.send(frames.data(number, body))

    return act


def _without_message(path: str, *, token: bool = False) -> Act:
    def act(by: Attacker) -> None:
        for _ in range(STREAMS):
            by.open(path, token=token, ends=True)

    return act


def _references(path: str, each: int, count: int, *, size: int = 3900, token: bool = False) -> Act:
    """Calls whose headers reference one large header of the connection's table repeatedly, in one byte each time."""

    def act(by: Attacker) -> None:
        by.open(path, (b"x-filling", b"f" * size), token=token)
        encoded = by.block(path, *[(b"x-filling", b"f" * size)] * each, token=token)
        for _ in range(count):
            number = by.stream()
            by.send(frames.headers(number, encoded))
            by.send(frames.data(number, message(b""), ends=True))

    return act


def _long_path(by: Attacker) -> None:
    for at in range(100):
        by.call(f"/{'p' * 9000}{at}/Nothing", message(b""))


def _unknown_methods(by: Attacker) -> None:
    for at in range(STREAMS):
        by.call(f"/backroom.made.v1.Up{at}/Method{at}", message(b""))


def _forwarded(by: Attacker) -> None:
    for at in range(STREAMS):
        by.call(LOGIN, message(b""), (b"x-forwarded-for", f"10.{at // 250}.{at % 250}.1, ".encode() * 40))


def _wrong_tokens(by: Attacker) -> None:
    head, _, _ = by.token.rpartition(".")
    for at in range(STREAMS):
        number = by.stream()
        forged = f"Bearer {head}.{at:086d}".encode()
        by.send(frames.headers(number, by.block(GET_ME, (b"authorization", forged)), ends=False))
        by.send(frames.data(number, message(b""), ends=True))


def _strange_tokens(by: Attacker) -> None:
    for at in range(STREAMS):
        by.call(GET_ME, message(b""), (b"authorization", b"Bearer " + bytes([0xFF]) * 8 + str(at).encode()))


def _repeated_tokens(by: Attacker) -> None:
    for _ in range(STREAMS):
        by.call(GET_ME, message(b""), *[(b"authorization", b"Bearer x")] * 50)


def _timeouts(by: Attacker) -> None:
    for at in range(STREAMS):
        extreme = (b"1n", b"99999999H", b"0n", b"-1S", b"99999999999999999999S", b"")[at % 6]
        by.open(WATCH_ORDERS if at % 2 else GET_ME, (b"grpc-timeout", extreme))


def _agents(by: Attacker) -> None:
    for _ in range(STREAMS):
        by.call(LOGIN, message(b""), (b"user-agent", b"\x1b[2J\x1b]0;x\x07" * 10))


def _settings(by: Attacker) -> None:
    by.send(frames.settings({Setting.INITIAL_WINDOW_SIZE: 65_535}) * (BYTES // 15))


def _pings(by: Attacker) -> None:
    by.send(frames.frame(Type.PING, 0, 0, bytes(8)) * (BYTES // 17))


def _resets(by: Attacker) -> None:
    for _ in range(8 * STREAMS):
        number = by.stream()
        by.send(
            frames.headers(number, by.block(GET_ME), ends=False) + frames.rst_stream(number, ErrorCode.CANCEL),
        )


def _made_resets(by: Attacker) -> None:
    """Frames on ended streams, which make the server send the resets (MadeYouReset)."""
    for _ in range(8 * STREAMS):
        number = by.stream()
        by.send(frames.headers(number, by.block(GET_ME), ends=True) + frames.window_update(number, 0))


def _continuations(by: Attacker) -> None:
    number = by.stream()
    by.send(frames.frame(Type.HEADERS, 0, number, by.block(GET_ME)))
    filling = bytes([0x40, 1, 0x61, 1, 0x62])
    while by.sent < BYTES:
        before = by.sent
        by.send(frames.frame(Type.CONTINUATION, 0, number, filling * 3000))
        if by.sent == before:
            return


def _empty_continuations(by: Attacker) -> None:
    number = by.stream()
    by.send(frames.frame(Type.HEADERS, 0, number, by.block(GET_ME)))
    by.send(frames.frame(Type.CONTINUATION, 0, number) * (BYTES // 9))


def _empty_data(by: Attacker) -> None:
    number = by.open(PLACE_MANY)
    by.send(frames.data(number, b"") * (BYTES // 9))


def _empty_data_kept(by: Attacker) -> None:
    number = by.open(PLACE_MANY, token=True)
    by.send(frames.data(number, b"") * (BYTES // 9))


def _windows(by: Attacker) -> None:
    by.send(frames.window_update(0, 1) * (BYTES // 13))


def _priorities(by: Attacker) -> None:
    by.send(b"".join(frames.frame(2, 0, 2 * (at % STREAMS) + 1, bytes(5)) for at in range(BYTES // 14)))


def _unknown_frames(by: Attacker) -> None:
    by.send(frames.frame(0xFA, 0, 0, b"") * (BYTES // 9))


def _once(path: str, content: bytes) -> Act:
    return _each(path, content, 1)


def _each(path: str, content: bytes, count: int) -> Act:
    """This many calls of a customer with this body."""

    def act(by: Attacker) -> None:
        for _ in range(count):
            by.call(path, message(content), token=True)

    return act


def _resets_kept(by: Attacker) -> None:
    for _ in range(8 * STREAMS):
        number = by.stream()
        by.send(frames.headers(number, by.block(GET_ME, token=True)) + frames.rst_stream(number, ErrorCode.CANCEL))


def _tiny_messages(path: str, *, token: bool) -> Act:
    """One stream of as many empty messages as fit."""

    def act(by: Attacker) -> None:
        number = by.open(path, token=token)
        for _ in range(BYTES // 16_384):
            by.send(frames.data(number, message(b"") * (16_384 // 5)))

    return act


def _reflected(by: Attacker) -> None:
    """Each requests a large file, and reads none of it."""
    ask = message(field(4, b"backroom.commerce.v1.OrderService"))
    for _ in range(STREAMS // 10):
        number = by.open(REFLECT)
        by.send(frames.data(number, ask * 100))


def _reflected_names(by: Attacker) -> None:
    for _ in range(STREAMS):
        number = by.open(REFLECT)
        by.send(frames.data(number, message(field(4, b"n" * 700))))


def _bytewise(by: Attacker) -> None:
    """One message in frames of one byte."""
    number = by.open(LOGIN)
    by.send(b"".join(frames.data(number, bytes([each])) for each in message(b"\x0a" * 90_000)))


def _watching(by: Attacker) -> None:
    for _ in range(STREAMS):
        by.call(WATCH_ORDERS, message(b""), token=True)


MEBIS = 3_900_000
"""In bytes: what a message of 4 MB may hold, which is a few kB if all of it is the same."""

UNACKNOWLEDGED = "gRPC's core keeps up to 16 MB of metadata a call until its settings are acknowledged"

ATTACKS = [
    Attack("health watches with long names, compressed", _compressed(WATCH, field(1, b"n" * MEBIS)), bodies=True),
    Attack("health checks with long names, compressed", _compressed(CHECK, field(1, b"n" * MEBIS)), bodies=True),
    Attack("health watches with invented names", _many_calls(WATCH, message(field(1, b"n" * 700)))),
    Attack("health watches of a known name", _many_calls(WATCH, message(b""))),
    Attack("health watches that send no message", _without_message(WATCH)),
    Attack("health checks that send half a message", _half_sent(CHECK, 4_000, 700)),
    Attack(
        "health watches with unknown fields, compressed",
        _compressed(WATCH, field(99, b"") * 1_300_000),
        bodies=True,
    ),
    Attack("references to one large header, 370 each", _references(WATCH, 370, 200, size=3000), acknowledges=False),
    Attack(
        "references to one large header, 4,000 each",
        _references(GET_ME, 4_000, 200, size=3000),
        acknowledges=False,
        exceeds=UNACKNOWLEDGED,
    ),
    Attack(
        "references to one small header in one call",
        _references(GET_ME, 400_000, 1, size=1),
        acknowledges=False,
        exceeds=UNACKNOWLEDGED,
    ),
    Attack("references to one large header, acknowledged", _references(WATCH, 370, 200, size=3000)),
    Attack("calls without a token that send no message", _without_message(GET_ME)),
    Attack("calls without a token that send half a message", _half_sent(PLACE, 4_000_000, 700)),
    Attack("logins that send half a message", _half_sent(LOGIN, 4_000, 700)),
    Attack("logins that send no message", _many_calls(LOGIN, b"", ends=False)),
    Attack("logins of unknown fields, compressed", _compressed(LOGIN, field(99, b"") * 1_300_000), bodies=True),
    Attack("logins of a long address, compressed", _compressed(LOGIN, field(1, b"a" * MEBIS)), bodies=True),
    Attack("a login in frames of one byte", _bytewise),
    Attack("registrations with nothing in them", _many_calls(REGISTER, message(b""))),
    Attack("calls with forged signatures", _wrong_tokens),
    Attack("calls with tokens that are no text", _strange_tokens),
    Attack("calls with fifty tokens each", _repeated_tokens),
    Attack("calls of unknown methods", _unknown_methods),
    Attack("calls of methods with long names", _long_path),
    Attack("calls that claim to be forwarded", _forwarded),
    Attack("calls with absurd deadlines", _timeouts),
    Attack("calls with escape codes as user agent", _agents),
    Attack("streams of orders without a token", _tiny_messages(PLACE_MANY, token=False)),
    Attack("reflection asked for large files, unread", _reflected, reads=False),
    Attack("reflection of invented names", _reflected_names),
    Attack("reflection streams that say nothing", _many_calls(REFLECT, b"", ends=False)),
    Attack("answers that nobody reads", _many_calls(GET_ME, message(b"")), reads=False),
    Attack("a flood of SETTINGS", _settings),
    Attack("a flood of SETTINGS, unread", _settings, reads=False),
    Attack("a flood of PING", _pings),
    Attack("streams opened and reset at once", _resets),
    Attack("streams that make the server reset them", _made_resets),
    Attack("headers that never end", _continuations),
    Attack("headers that go on with nothing", _empty_continuations),
    Attack("frames of DATA without a byte", _empty_data),
    Attack("a flood of WINDOW_UPDATE", _windows),
    Attack("a flood of PRIORITY", _priorities),
    Attack("frames of an unknown type", _unknown_frames),
    Attack("two hundred connections", _many_calls(WATCH, message(b""), count=5), connections=200),
    Attack("watches of a customer's orders", _watching, who="customer"),
    Attack("a customer's orders in half", _half_sent(PLACE, 16_000, 500, token=True), who="customer"),
    Attack(
        "a customer's order of empty lines, compressed",
        _compressed(PLACE, field(4, b"") * 500_000, token=True),
        who="customer",
        bodies=True,
    ),
    Attack(
        "a customer's order of 500,000 empty lines", _once(PLACE, field(4, b"") * 490_000), who="customer", bodies=True
    ),
    Attack(
        "a customer's ten orders of 45,000 lines", _each(PLACE, field(4, b"") * 45_000, 10), who="customer", bodies=True
    ),
    Attack("a customer's order of unknown fields", _once(PLACE, field(99, b"") * 320_000), who="customer", bodies=True),
    Attack(
        "a customer's order of nested unknown groups",
        _once(PLACE, b"\xa3\x06" * 100 + b"\xa4\x06" * 100),
        who="customer",
    ),
    Attack("a customer's calls that end without a message", _without_message(GET_ME, token=True), who="customer"),
    Attack(
        "a customer's answers that are not read",
        _many_calls(GET_ME, message(b""), token=True),
        who="customer",
        reads=False,
    ),
    Attack("a customer's calls, reset at once", _resets_kept, who="customer"),
    Attack("a customer's streams of empty orders", _tiny_messages(PLACE_MANY, token=True), who="customer"),
    Attack(
        "a customer's streams that say nothing", _many_calls(PLACE_MANY, b"", token=True, ends=False), who="customer"
    ),
    Attack("a thousand calls of a customer at once", _many_calls(GET_ME, message(b""), token=True), who="customer"),
    Attack("a customer's frames of DATA without a byte", _empty_data_kept, who="customer"),
    Attack(
        "a customer's calls with unknown fields, compressed",
        _compressed(GET_ORDER, field(99, b"") * 1_300_000, token=True),
        who="customer",
        bodies=True,
    ),
]
