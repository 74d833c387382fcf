"""Further attacks: windows, resets, trailers, padding, and tokens and registrations that are expensive to check."""

import os
import time
from base64 import urlsafe_b64encode

from load import frames
from load.frames import ErrorCode, Setting, Type
from tests.attacks.table import BYTES, CHECK, GET_ME, LOGIN, REFLECT, REGISTER, STREAMS, WATCH, Act, Attack
from tests.attacks.wire import Attacker, field, message


def _stalled(by: Attacker, count: int) -> list[int]:
    """Calls that are answered, while the attacker's window has no room for the responses."""
    by.send(frames.settings({Setting.INITIAL_WINDOW_SIZE: 0}))
    numbers = []
    for at in range(count):
        numbers.append(by.call(CHECK, message(b"")))
        if at % 80 == 79:  # as many as may be under way
            time.sleep(0.05)
    return numbers


def _stalled_answers(by: Attacker) -> None:
    _stalled(by, STREAMS)


def _windows_to_and_fro(by: Attacker) -> None:
    """Each of these settings releases one byte of every stalled response."""
    _stalled(by, 900)
    one, none = (frames.settings({Setting.INITIAL_WINDOW_SIZE: size}) for size in (1, 0))
    by.send((one + none) * 28_000)


def _creeping_windows(by: Attacker) -> None:
    """Responses that are released byte by byte."""
    numbers = _stalled(by, 900)
    for _ in range(60):
        by.send(b"".join(frames.window_update(number, 1) for number in numbers))


def _tables_to_and_fro(by: Attacker) -> None:
    """The header table alternates between its largest size and none, between calls that are answered."""
    none, most = (frames.settings({Setting.HEADER_TABLE_SIZE: size}) for size in (0, 2**32 - 1))
    by.send((none + most) * 20_000)
    for _ in range(400):
        by.call(CHECK, message(b""))
        by.send(none + most)


def _goaways(by: Attacker) -> None:
    by.send(frames.frame(Type.GOAWAY, 0, 0, bytes(8) + b"d" * 16_000) * 60)


def _trailers(by: Attacker) -> None:
    """Forty headers after each call's headers."""
    for _ in range(700):
        number = by.open(LOGIN)
        by.send(frames.headers(number, by.block(LOGIN, *[(b"x-%d" % at, b"v") for at in range(40)]), ends=True))


def _padding(by: Attacker) -> None:
    number = by.open(LOGIN)
    by.send(frames.frame(Type.DATA, frames.PADDED, number, b"\xff" + bytes(255)) * (BYTES // 265))


def _cancelled(path: str, content: bytes, count: int) -> Act:
    """Calls that are reset after their response has started."""

    def act(by: Attacker) -> None:
        for _ in range(count):
            number = by.open(path)
            by.send(frames.data(number, message(content)) + frames.rst_stream(number, ErrorCode.CANCEL))

    return act


def _unknown_keys(by: Attacker) -> None:
    """Tokens signed with unknown keys, each of which is looked up."""
    for at in range(STREAMS):
        header = b'{"alg":"EdDSA","typ":"at+jwt","kid":"%016x"}' % at
        token = urlsafe_b64encode(header).rstrip(b"=") + b".e30." + b"A" * 86
        by.call(GET_ME, message(b""), (b"authorization", b"Bearer " + token))


def _registrations(by: Attacker) -> None:
    """Registrations with passwords that have to be hashed."""
    for at in range(STREAMS):
        content = field(2, b"u%d@example.com" % at) + field(3, b"plausible %d otter mosaic" % at)
        by.call(REGISTER, message(content))


HASHES = "a password's hash takes 19 MiB, and as many are made at once as there are cores less one"
MANY_CORES = (os.cpu_count() or 1) > 2

FURTHER = [
    Attack("answers that there is no room for", _stalled_answers),
    Attack("a window that opens and closes over 900 answers", _windows_to_and_fro),
    Attack("windows that open byte by byte", _creeping_windows),
    Attack("tables of headers that come and go", _tables_to_and_fro),
    Attack("a flood of GOAWAY with 16 kB each", _goaways),
    Attack("headers behind each call's headers", _trailers),
    Attack("padding without a byte", _padding),
    Attack("health watches, cancelled at once", _cancelled(WATCH, b"", 6 * STREAMS)),
    Attack(
        "reflection of a large file, cancelled at once",
        _cancelled(REFLECT, field(4, b"backroom.commerce.v1.OrderService"), 5 * STREAMS),
    ),
    Attack("tokens of unknown keys", _unknown_keys),
    Attack("registrations with passwords", _registrations, exceeds=HASHES if MANY_CORES else ""),
]
