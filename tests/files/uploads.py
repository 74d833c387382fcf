"""Contents that the tests make themselves to get past a scanner, or to break what looks at them."""

import bz2
import gzip
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from io import BytesIO

from storage.files.records import Outcome
from tests.files.images import HTML, drawn
from tests.fixtures.clamd import EICAR, MAX_BYTES

_OVER = MAX_BYTES + 500_000
CLEAN, INFECTED, UNSCANNABLE = Outcome.CLEAN, Outcome.INFECTED, Outcome.UNSCANNABLE
Content = Callable[[], bytes]


def zipped(*members: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    written = BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        for place, member in enumerate(members):
            archive.writestr(f"{place}.txt", member)
    return written.getvalue()


def tarred(content: bytes, mode: str) -> bytes:
    written = BytesIO()
    with tarfile.open(fileobj=written, mode=mode) as archive:  # type: ignore[call-overload]  # the mode is a text
        member = tarfile.TarInfo("../../etc/passwd")
        member.size = len(content)
        archive.addfile(member, BytesIO(content))
    return written.getvalue()


def nested(pack: Callable[[bytes], bytes], times: int) -> bytes:
    content = EICAR
    for _ in range(times):
        content = pack(content)
    return content


def late() -> bytes:
    """The test virus, behind more zeros than the scanner looks at."""
    return bytes(_OVER) + EICAR


def _changed(content: bytes, at: int, form: str, value: int) -> bytes:
    """A ZIP with a field of its member, and of the entry in its directory, that says something else."""
    written = bytearray(content)
    struct.pack_into(form, written, at, value)
    struct.pack_into(form, written, written.index(b"PK\x01\x02") + at + 2, value)
    return bytes(written)


def encrypted() -> bytes:
    return _changed(zipped(EICAR), 6, "<H", 1)


def lying_size() -> bytes:
    """A bomb that says it expands to 1,000 bytes."""
    return zipped(late()).replace(struct.pack("<I", len(late())), struct.pack("<I", 1000))


def lying_method() -> bytes:
    """A bomb whose members claim to be stored; the directory says how they are packed."""
    written = bytearray(zipped(late()))
    struct.pack_into("<H", written, 8, 0)
    return bytes(written)


def overlapping() -> bytes:
    """A ZIP whose 300 members are all one and the same kernel, of 1 MB each."""
    packed = zipped(bytes(1_000_000))
    directory, end = packed.index(b"PK\x01\x02"), packed.index(b"PK\x05\x06")
    tail = bytearray(packed[end:])
    struct.pack_into("<HHII", tail, 8, 300, 300, 300 * (end - directory), 300 * directory)
    return packed[:directory] * 300 + packed[directory:end] * 300 + bytes(tail)


def stored(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=0)


def _many() -> bytes:
    return zipped(*[b"x%d" % each for each in range(12_000)], EICAR)


HOSTILE: tuple[tuple[str, Content, Outcome, str], ...] = (
    ("nothing", lambda: b"", CLEAN, "application/octet-stream"),
    ("the test virus", lambda: EICAR, INFECTED, "text/plain"),
    ("the virus, zipped", lambda: zipped(EICAR), INFECTED, "application/zip"),
    ("the virus, stored in a ZIP", lambda: zipped(EICAR, method=zipfile.ZIP_STORED), INFECTED, "application/zip"),
    ("the virus, zipped three times", lambda: nested(zipped, 3), INFECTED, "application/zip"),
    ("the virus, in a tar.gz by a name with ..", lambda: tarred(EICAR, "w:gz"), INFECTED, "application/x-gzip"),
    ("the virus, behind 1 MB", lambda: bytes(1_000_000) + EICAR, INFECTED, "application/octet-stream"),
    ("the virus, behind a picture", lambda: drawn("PNG") + EICAR, INFECTED, "image/png"),
    ("the virus, as the last of many members", lambda: zipped(*[b"x"] * 500, EICAR), INFECTED, "application/zip"),
    ("a ZIP that packs it behind zeros", lambda: zipped(late()), UNSCANNABLE, "application/zip"),
    ("the same that lies about its size", lying_size, UNSCANNABLE, "application/zip"),
    ("the same that lies about its method", lying_method, UNSCANNABLE, "application/zip"),
    ("the same in a ZIP", lambda: zipped(zipped(late())), UNSCANNABLE, "application/zip"),
    ("the same in a gzip", lambda: gzip.compress(zipped(late())), UNSCANNABLE, "application/x-gzip"),
    ("the same in an xz", lambda: lzma.compress(zipped(late())), UNSCANNABLE, "application/x-xz"),
    ("the same in a stored ZIP", lambda: zipped(zipped(late()), method=0), UNSCANNABLE, "application/zip"),
    ("the same behind a picture", lambda: drawn("PNG") + zipped(late()), UNSCANNABLE, "image/png"),
    ("a gzip that packs it behind zeros", lambda: gzip.compress(late()), UNSCANNABLE, "application/x-gzip"),
    ("a bzip2 that does", lambda: bz2.compress(late()), UNSCANNABLE, "application/x-bzip2"),
    ("an xz that does", lambda: lzma.compress(late()), UNSCANNABLE, "application/x-xz"),
    ("a tar.xz that does", lambda: tarred(late(), "w:xz"), UNSCANNABLE, "application/x-xz"),
    ("an encrypted ZIP", encrypted, UNSCANNABLE, "application/zip"),
    ("a ZIP packed by LZMA", lambda: zipped(late(), method=zipfile.ZIP_LZMA), UNSCANNABLE, "application/zip"),
    ("a ZIP packed by bzip2", lambda: zipped(late(), method=zipfile.ZIP_BZIP2), UNSCANNABLE, "application/zip"),
    ("a bomb of 50 MB", lambda: zipped(bytes(50_000_000)), UNSCANNABLE, "application/zip"),
    ("a bomb of 20 MB in a bomb", lambda: zipped(*[zipped(bytes(1_900_000))] * 10), UNSCANNABLE, "application/zip"),
    ("a bomb of one kernel for 300 members", overlapping, UNSCANNABLE, "application/zip"),
    ("a ZIP of 12,000 members", _many, UNSCANNABLE, "application/zip"),
    ("a ZIP in 40 ZIPs", lambda: nested(zipped, 40), UNSCANNABLE, "application/zip"),
    ("a gzip in 40 gzips", lambda: nested(gzip.compress, 40), UNSCANNABLE, "application/x-gzip"),
    ("more than is scanned", partial(bytes, _OVER), UNSCANNABLE, "application/octet-stream"),
    ("a thousand bzip2 that only begin", lambda: bz2.compress(EICAR)[:20] * 1_000, CLEAN, "application/x-bzip2"),
    ("twenty gzips stored in one another", lambda: nested(stored, 20), INFECTED, "application/x-gzip"),
    ("half a ZIP", lambda: zipped(drawn("PNG", 500, 500))[:300], CLEAN, "application/zip"),
    ("a page", lambda: HTML, CLEAN, "text/html"),
    ("a page behind white space and a comment", lambda: b"\xef\xbb\xbf \n<!-- -->\n" + HTML, CLEAN, "text/html"),
    ("an SVG with a script", lambda: b'<?xml version="1.0"?>\n<svg onload="alert(1)"/>', CLEAN, "image/svg+xml"),
    ("a picture that is a page, too", lambda: drawn("GIF") + HTML, CLEAN, "image/gif"),
    ("noise that looks like headers", lambda: b"PK\x03\x04\x1f\x8b\x08" * 5_000, UNSCANNABLE, "application/zip"),
)
"""What each is, how it is made, what a scan finds in it, and which type it has."""
