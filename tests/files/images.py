"""Images that the tests draw themselves: good ones, and hostile ones."""

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from typing import Any

from PIL import Image

from server.files.thumbnails.work import MAX_PIXELS, Ending

HTML = b"<!doctype html><script>document.title='executed'</script>"


def drawn(
    kind: str, width: int = 64, height: int = 48, *, mode: str = "RGB", left: str = "red", **options: Any
) -> bytes:
    """An image of two halves: `left`, and black."""
    image = Image.new("RGB", (width, height), "black")
    image.paste(left, (0, 0, width // 2, height))
    written = BytesIO()
    image.convert(mode).save(written, kind, **options)
    return written.getvalue()


def animated(kind: str, frames: int = 3) -> bytes:
    pictures = [Image.new("RGB", (20, 20), (each * 80 % 256, 0, 0)) for each in range(frames)]
    written = BytesIO()
    pictures[0].save(written, kind, save_all=True, append_images=pictures[1:], duration=50)
    return written.getvalue()


def turned(orientation: int, *, kind: str = "JPEG", width: int = 64, height: int = 48) -> bytes:
    """With metadata that say how it is to be turned, by whom it is, and where it was taken."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x013B] = "A photographer"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0)})
    return drawn(kind, width, height, exif=exif)


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG, with its checksum."""
    return struct.pack("!I", len(content)) + name + content + struct.pack("!I", zlib.crc32(name + content))


def png(width: int, height: int, pixels: bytes, *extra: bytes, depth: int = 8, color: int = 0) -> bytes:
    """A PNG that says it has this size; `pixels` are compressed already, and `extra` are chunks before them."""
    head = struct.pack("!IIBBBBB", width, height, depth, color, 0, 0, 0)
    end = chunk(b"IEND", b"")
    return b"".join((b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", head), *extra, chunk(b"IDAT", pixels), end))


def zeros(count: int) -> bytes:
    """So many zeros, compressed."""
    return zlib.compress(bytes(count), 9)


def _half(kind: str) -> bytes:
    content = drawn(kind, 300, 200)
    return content[: len(content) // 2]


def _first(kind: str) -> bytes:
    return drawn(kind)[:30]


def _and(kind: str, more: Callable[[], bytes]) -> bytes:
    return drawn(kind) + more()


def _page() -> bytes:
    return HTML


def _resized_in_place(content: bytes, at: int, form: str, *size: int) -> bytes:
    written = bytearray(content)
    struct.pack_into(form, written, at, *size)
    return bytes(written)


def _jpeg_of_size(width: int, height: int) -> bytes:
    content = drawn("JPEG")
    return _resized_in_place(content, content.index(b"\xff\xc0") + 5, "!HH", height, width)


def _webp_of_size(width: int, height: int) -> bytes:
    content = drawn("WEBP", lossless=False)
    return _resized_in_place(content, content.index(b"\x9d\x01\x2a") + 3, "<HH", width, height)


def _zip() -> bytes:
    written = BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("a.html", HTML)
    return written.getvalue()


def _text_bomb() -> bytes:
    """Chunks of text that expand to 200 MB."""
    return png(8, 8, zeros(72), *[chunk(b"zTXt", b"k\0\0" + zeros(50_000_000))] * 4)


def _profile_bomb() -> bytes:
    return png(8, 8, zeros(72), chunk(b"iCCP", b"p\0\0" + zeros(100_000_000)))


def _deep_exif() -> bytes:
    """EXIF whose directory refers to itself."""
    loop = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    plain = drawn("JPEG")
    return plain[:2] + b"\xff\xe1" + struct.pack("!H", len(loop) + 2) + loop + plain[2:]


def _many_scans() -> bytes:
    """A progressive JPEG with its last scan 8,000 times."""
    content = drawn("JPEG", 2000, 2000, progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * 8_000 + b"\xff\xd9"


def _noise(size: int) -> bytes:
    return bytes((each * 7919 + each // 251) % 256 for each in range(size))


_Image = tuple[str, Callable[[], bytes], Ending]


def _cut_short() -> Iterator[_Image]:
    for kind in ("JPEG", "PNG", "GIF", "WEBP"):
        yield f"half a {kind}", partial(_half, kind), Ending.BROKEN
        ending = Ending.BROKEN if kind in ("JPEG", "WEBP") else Ending.NO_IMAGE
        yield f"a {kind} of its first 30 bytes", partial(_first, kind), ending
    yield "a PNG without pixels", lambda: png(8, 8, b""), Ending.BROKEN
    yield "a PNG with too few pixels", lambda: png(800, 800, zeros(100)), Ending.BROKEN
    yield "a PNG with a wrong checksum", lambda: drawn("PNG").replace(b"IDAT", b"IDAS", 1), Ending.NO_IMAGE
    yield "a PNG whose pixels are no deflate", lambda: png(8, 8, b"\xff" * 40), Ending.BROKEN
    yield "a JPEG whose middle is zeros", _zeroed_jpeg, Ending.MADE
    yield (
        "a JPEG whose segment goes beyond its end",
        lambda: b"\xff\xd8\xff\xe0\xff\xff" + b"JFIF\0",
        Ending.BROKEN,
    )
    yield "a GIF without a picture", lambda: b"GIF89a\x08\0\x08\0\0\0\0;", Ending.NO_IMAGE
    yield (
        "a WebP whose length lies",
        lambda: _resized_in_place(drawn("WEBP"), 4, "<I", 2**32 - 1),
        Ending.BROKEN,
    )


def _zeroed_jpeg() -> bytes:
    content = drawn("JPEG", 300, 200)
    middle = len(content) // 2
    return content[: middle - 50] + bytes(100) + content[middle + 50 :]


def _huge() -> Iterator[_Image]:
    over = MAX_PIXELS // 5_000 + 1
    yield (
        "a PNG just above the limit, where Pillow only warns",
        lambda: png(5_000, over, zeros(5_001 * over)),
        Ending.TOO_LARGE,
    )
    yield "a PNG bomb of 400 megapixels", lambda: png(20_000, 20_000, zeros(400_020_000)), Ending.TOO_LARGE
    yield "a PNG of the largest size there is", lambda: png(2**31 - 1, 2**31 - 1, zeros(100)), Ending.TOO_LARGE
    yield "a PNG of no size", lambda: png(0, 0, zeros(0)), Ending.NO_IMAGE
    yield (
        "a PNG of one line of 60 million pixels",
        lambda: png(60_000_000, 1, zeros(60_000_001)),
        Ending.TOO_LARGE,
    )
    yield "a JPEG that says it has 65,500 by 65,500", lambda: _jpeg_of_size(65_500, 65_500), Ending.TOO_LARGE
    yield "a JPEG that says it has 7,000 by 7,000", lambda: _jpeg_of_size(7_000, 7_000), Ending.MADE
    yield "a JPEG of no height", lambda: _jpeg_of_size(64, 0), Ending.NO_IMAGE
    yield (
        "a GIF that says it has 65,535 by 65,535",
        lambda: _resized_in_place(drawn("GIF"), 6, "<HH", 65_535, 65_535),
        Ending.TOO_LARGE,
    )
    yield (
        "a GIF that says it has 7,000 by 7,000",
        lambda: _resized_in_place(drawn("GIF"), 6, "<HH", 7_000, 7_000),
        Ending.MADE,
    )
    yield (
        "a WebP that says it has 16,383 by 16,383",
        lambda: _webp_of_size(16_383, 16_383),
        Ending.TOO_LARGE,
    )
    yield "more bytes than are read", lambda: drawn("PNG") + bytes(33 * 1024 * 1024), Ending.TOO_LARGE
    yield (
        "a PNG of 49 megapixels in colors with transparency",
        lambda: png(7_000, 7_000, zeros(7_000 * 28_001), color=6),
        Ending.MADE,
    )
    yield (
        "a PNG of 16 bits a color",
        lambda: png(3_000, 3_000, zeros(3_000 * 24_001), depth=16, color=6),
        Ending.MADE,
    )


def _bombs() -> Iterator[_Image]:
    yield "a PNG with texts that expand to 200 MB", _text_bomb, Ending.BROKEN
    yield "a PNG with a color profile that expands to 100 MB", _profile_bomb, Ending.BROKEN
    yield "a JPEG with EXIF that refers to itself", _deep_exif, Ending.MADE
    yield "a progressive JPEG of 8,000 scans", _many_scans, Ending.TOO_COSTLY
    yield (
        "a PNG with 100,000 chunks",
        lambda: png(8, 8, zeros(72), *[chunk(b"teXt", b"k\0v")] * 100_000),
        Ending.MADE,
    )
    yield (
        "a PNG whose palette is empty",
        lambda: png(8, 8, zeros(72), chunk(b"PLTE", b""), color=3),
        Ending.MADE,
    )


def _moving() -> Iterator[_Image]:
    for kind in ("GIF", "PNG", "WEBP"):
        yield f"an animated {kind}", partial(animated, kind), Ending.ANIMATED
    yield "a GIF of 5,000 frames", lambda: animated("GIF", 5_000), Ending.ANIMATED


def _polyglots() -> Iterator[_Image]:
    for kind in ("JPEG", "PNG", "GIF"):
        yield f"a {kind} that is a page after its end", partial(_and, kind, _page), Ending.POLYGLOT
        yield f"a {kind} that is a ZIP after its end", partial(_and, kind, _zip), Ending.POLYGLOT
    yield "a JPEG whose comment is a script", lambda: drawn("JPEG", comment=HTML), Ending.POLYGLOT
    yield (
        "a PNG whose text is a script",
        lambda: png(8, 8, zeros(72), chunk(b"tEXt", b"k\0" + HTML)),
        Ending.POLYGLOT,
    )
    yield (
        "a GIF whose size is a JavaScript comment",
        lambda: b"GIF89a/*" + drawn("GIF")[8:] + b"*/=1;alert(1)//<script >",
        Ending.POLYGLOT,
    )


def _liars() -> Iterator[_Image]:
    yield "nothing", lambda: b"", Ending.NO_IMAGE
    yield "a page", lambda: HTML, Ending.NO_IMAGE
    yield "an SVG", lambda: b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', Ending.NO_IMAGE
    yield "PostScript", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(ls) run", Ending.NO_IMAGE
    yield "a BMP", lambda: drawn("BMP"), Ending.NO_IMAGE
    yield "a TIFF", lambda: drawn("TIFF"), Ending.NO_IMAGE
    yield "an AVIF", lambda: drawn("AVIF"), Ending.NO_IMAGE
    yield "noise", lambda: _noise(100_000), Ending.NO_IMAGE
    yield (
        "a PNG's first bytes before noise",
        lambda: b"\x89PNG\r\n\x1a\n" + _noise(1_000),
        Ending.NO_IMAGE,
    )


HOSTILE: tuple[_Image, ...] = (*_cut_short(), *_huge(), *_bombs(), *_moving(), *_polyglots(), *_liars())
"""What each is, how it is drawn, and how it ends."""
