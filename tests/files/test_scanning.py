"""What a real clamd says of contents, and what is made of that."""

import asyncio
import bz2
import gzip
import lzma
import os
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.files.scanning import Findings, Scanner, ScannerUnavailable
from server.files.scanning.clamd import Clamd
from server.files.scanning.configured import NoScanner, scanner_of
from server.files.scanning.content_types import content_type
from server.files.scanning.expanding import Expanding
from server.files.scanning.place import checked_scanner
from server.files.scanning.replies import outcome_of
from storage.files.records import Outcome
from tests.files.images import drawn
from tests.files.uploads import HOSTILE, zipped
from tests.fixtures.clamd import EICAR, MAX_BYTES, RunningClamd, running_clamd
from tests.fixtures.examples import examples


async def pieces(content: bytes, size: int = 50_000) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), size):
        yield content[begin : begin + size]


async def scanned(scanner: Scanner, content: bytes) -> Findings:
    return await scanner.scan(len(content), pieces(content))


def scanner_at(clamd: RunningClamd, max_bytes: int = MAX_BYTES) -> Scanner:
    found = scanner_of(clamd.setting, max_bytes)
    assert found is not None
    return found


async def test_each_hostile_content_ends_as_it_is_said_to_and_the_scanner_lives(clamd: RunningClamd) -> None:
    assert len({name for name, *_ in HOSTILE}) == len(HOSTILE) >= 30
    scanner, wrong = scanner_at(clamd), []
    for name, make, outcome, kind in HOSTILE:
        found = await scanned(scanner, make())
        if (found.outcome, found.content_type) != (outcome, kind):
            wrong.append((name, found))
        assert bool(found.detail) == (outcome is not Outcome.CLEAN), name
    assert not wrong
    assert clamd.ask("PING") == "PONG"


async def test_signatures_have_a_version_that_changes_with_them() -> None:
    """What was clean is found once there is a signature of it."""
    content = b"something that nobody knows yet"
    with running_clamd() as clamd:
        scanner = scanner_at(clamd)
        before = await scanner.signatures()
        assert (await scanned(scanner, content)).outcome is Outcome.CLEAN
        clamd.sign(2, **{"Tests.Eicar": EICAR, "Tests.New": content})
        assert await scanner.signatures() != before
        found = await scanned(scanner, content)
        assert (found.outcome, found.detail) == (Outcome.INFECTED, "Tests.New.UNOFFICIAL")


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"AlertExceedsMax": "no"}, "set AlertExceedsMax yes"),
        ({"MaxFileSize": "1M"}, "lower that, or raise MaxFileSize"),
    ],
)
async def test_a_clamd_that_calls_clean_what_it_does_not_look_at_is_not_trusted(
    limits: dict[str, str], said: str
) -> None:
    with running_clamd(**limits) as clamd, pytest.raises(ScannerUnavailable, match=said):
        await scanner_at(clamd).signatures()


async def test_a_scanner_that_is_down_says_nothing_and_is_asked_again() -> None:
    with running_clamd() as clamd:
        scanner = scanner_at(clamd)
        clamd.stop()
        for attempt in (scanner.signatures(), scanned(scanner, EICAR)):
            with pytest.raises(ScannerUnavailable, match="does not respond"):
                await attempt
        clamd.start()
        assert (await scanned(scanner, EICAR)).outcome is Outcome.INFECTED


async def test_what_is_too_large_is_not_even_sent() -> None:
    """Above 2 GB, ClamAV once called a stream clean."""

    async def refused() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise AssertionError("it was asked")

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"\x89PNG\r\n\x1a\n".ljust(65_536)

    found = await Clamd(refused, 2**31 - 1).scan(2**31, endless())
    assert (found.outcome, found.content_type) == (Outcome.UNSCANNABLE, "image/png")


@asynccontextmanager
async def saying(reply: bytes, *, taken: int = -1) -> AsyncIterator[Scanner]:
    """A scanner that replies this, once it has read so many bytes, and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (reader.readexactly(taken) if taken >= 0 else reader.readuntil(bytes(4)))
        writer.write(reply)
        writer.close()

    path = f"/tmp/backroom-{uuid4().hex[:12]}"  # noqa: S108 - a socket's path is limited in length
    server = await asyncio.start_unix_server(answer, path)
    try:
        scanner = scanner_of(f"clamd:{path}", MAX_BYTES)
        assert scanner is not None
        yield scanner
    finally:
        server.close()
        await asyncio.to_thread(Path(path).unlink, missing_ok=True)


@pytest.mark.parametrize(
    "reply",
    [
        *(b"", b"stream: OK", b"stream: O", b"stream: OK\n", b"OK\0", b"stream: ok\0", b"stream: OK stream: OK\0"),
        *(b"\xff\xfe\0", b"stream: Can't allocate memory ERROR\0", b"UNKNOWN COMMAND\0", b"x" * 10_000, b"\0"),
    ],
)
async def test_what_is_no_whole_reply_leaves_a_file_waiting(reply: bytes) -> None:
    """A cut connection and garbage: never clean, and no verdict at all."""
    async with saying(reply) as scanner:
        with pytest.raises(ScannerUnavailable):
            await scanned(scanner, b"content")


async def test_a_content_is_not_clean_before_all_of_it_was_sent() -> None:
    async with saying(b"stream: OK\0", taken=50_000) as scanner:
        with pytest.raises(ScannerUnavailable):
            await scanned(scanner, os.urandom(1_500_000))


async def test_a_content_that_is_cut_short_is_not_clean(clamd: RunningClamd) -> None:
    with pytest.raises(ScannerUnavailable, match="7 bytes instead of 8"):
        await scanner_at(clamd).scan(8, pieces(b"content"))


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("stream: OK", Outcome.CLEAN),
        ("stream: Win.Test.EICAR_HDB-1 FOUND", Outcome.INFECTED),
        ("stream: (null) FOUND", Outcome.UNSCANNABLE),
        ("stream:  FOUND", Outcome.UNSCANNABLE),
        ("stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND", Outcome.UNSCANNABLE),
        ("stream: Heuristics.Limits.Exceeded FOUND", Outcome.UNSCANNABLE),
        ("stream: Heuristics.Encrypted.Zip FOUND", Outcome.UNSCANNABLE),
        ("INSTREAM size limit exceeded. ERROR", Outcome.UNSCANNABLE),
        ("stream: Size limit reached ERROR", Outcome.UNSCANNABLE),
    ],
)
def test_replies_and_what_they_mean(reply: str, outcome: Outcome) -> None:
    assert outcome_of(reply)[0] is outcome


async def test_without_a_scanner_nothing_is_called_clean() -> None:
    found = await scanned(NoScanner(), drawn("PNG"))
    assert (found.outcome, found.content_type) == (Outcome.UNSCANNABLE, "image/png")
    assert "not scanned" in found.detail


@pytest.mark.parametrize(
    "setting", ["", "none", "clamd:/run/clamav/clamd.ctl", "clamd:127.0.0.1:3310", "clamd:[::1]:1"]
)
def test_settings_that_name_a_scanner(setting: str) -> None:
    assert checked_scanner(setting) == setting
    assert (scanner_of(setting, 1) is None) == (not setting)


@pytest.mark.parametrize(
    "setting", ["None", "clamd", "clamd:", "clamd:relative/path", "/run/clamav/clamd.ctl", "icap:a:1"]
)
def test_settings_that_name_none_are_refused(setting: str) -> None:
    """No misspelling of one turns scanning off."""
    with pytest.raises(ValueError, match="must be none, clamd:"):
        checked_scanner(setting)


@pytest.mark.parametrize("make", [make for name, make, outcome, _ in HOSTILE if "lies" in name or "same" in name])
@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_where_a_content_is_divided_does_not_matter(make: Callable[[], bytes], piece: int) -> None:
    content, expanding = make(), Expanding(MAX_BYTES, 4 * MAX_BYTES)
    for begin in range(0, len(content), piece):
        expanding.feed(content[begin : begin + piece])
    expanding.finish()
    assert expanding.opaque


def test_parts_that_overlap_are_not_all_looked_into() -> None:
    """Each of them takes memory for as long as it has not ended."""
    expanding = Expanding(MAX_BYTES, 4 * MAX_BYTES)
    expanding.feed(struct.pack("<4sHHH16xHH", b"PK\x03\x04", 20, 0, 8, 60_000, 0) * 20)
    expanding.finish()
    assert expanding.opaque == "its packed parts overlap"


_PACKED = (zipped(b"a" * 500, drawn("PNG")), gzip.compress(b"b" * 500), bz2.compress(b"c" * 500), lzma.compress(b"d"))


@given(
    st.sampled_from(_PACKED),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=20),
    st.integers(1, 3_000),
)
@examples(200)
def test_nothing_that_is_damaged_breaks_what_looks_into_it(
    content: bytes, changes: list[tuple[int, int]], piece: int
) -> None:
    damaged = bytearray(content * 3)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    expanding = Expanding(MAX_BYTES, 4 * MAX_BYTES)
    for begin in range(0, len(damaged), piece):
        expanding.feed(bytes(damaged[begin : begin + piece]))
    expanding.finish()
    assert expanding.opaque in ("", "it is encrypted", "it is packed in a way that is not looked into") or (
        "more" in expanding.opaque or "overlap" in expanding.opaque or "memory" in expanding.opaque
    )


def test_what_is_packed_within_the_limits_is_left_to_the_scanner() -> None:
    expanding = Expanding(MAX_BYTES, 4 * MAX_BYTES)
    expanding.feed(zipped(*[os.urandom(300_000)] * 5, drawn("PNG", 900, 900), zipped(b"x" * 1_000_000)))
    expanding.finish()
    assert not expanding.opaque


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (drawn("PNG"), "image/png"),
        (drawn("JPEG"), "image/jpeg"),
        (drawn("GIF"), "image/gif"),
        (drawn("WEBP"), "image/webp"),
        (b"%PDF-1.7\n", "application/pdf"),
        ("Grüße".encode(), "text/plain"),
        (b"BM", "text/plain"),
        (b"\x00\x01\x02", "application/octet-stream"),
        (b"<p>x", "text/html"),
        (b"<?xml version='1.0'?><a/>", "application/xml"),
    ],
)
def test_a_type_is_told_by_the_content(head: bytes, kind: str) -> None:
    assert content_type(head) == kind
