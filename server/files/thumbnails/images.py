"""An image to a thumbnail, by Pillow; only in a process that may break."""

import re
import warnings
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from server.files.thumbnails.work import MAX_PIXELS, Ending, answered

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
_QUALITY = 80
_OTHER_KINDS = re.compile(rb"<(?:!doctype|html|script|svg|iframe|\?php)[\s>/]|PK\x05\x06|%PDF-1|\x7fELF", re.IGNORECASE)
"""What has no place in an image, and what some other program may take the file for."""

# A warning up to twice the limit, and an error only beyond.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.simplefilter("error", Image.DecompressionBombWarning)


def thumbnail(content: bytes, edge_pixels: int) -> bytes:
    """The answer of the process; raises MemoryError, and OutOfTime."""
    try:
        return _thumbnail(content, edge_pixels)
    except UnidentifiedImageError:
        return answered(Ending.NO_IMAGE)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return answered(Ending.TOO_LARGE)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - plugins raise whatever their parsing came upon: OSError, SyntaxError, struct.error
        return answered(Ending.BROKEN)


def _thumbnail(content: bytes, edge_pixels: int) -> bytes:
    with Image.open(BytesIO(content), formats=_FORMATS) as image:
        # Further pictures of a JPEG are other views of the first, as cameras write them.
        if image.format != "MPO" and getattr(image, "is_animated", False):
            return answered(Ending.ANIMATED)
        if _OTHER_KINDS.search(content):
            return answered(Ending.POLYGLOT)
        made = _upright(image, edge_pixels)
    written = BytesIO()
    made.save(written, "WEBP", quality=_QUALITY)
    return answered(Ending.MADE, made.width, made.height, written.getvalue())


def _upright(image: Image.Image, edge_pixels: int) -> Image.Image:
    """The image made smaller and turned as its metadata say, without them."""
    image.draft("RGB", (edge_pixels, edge_pixels))
    image.load()
    orientation = image.getexif().get(0x0112, 1)
    mode = "RGBA" if image.has_transparency_data else "RGB"
    plain = image if image.mode == mode else image.convert(mode)  # which takes as much memory again
    plain.thumbnail((edge_pixels, edge_pixels), Image.Resampling.LANCZOS, reducing_gap=2.0)
    # Pixels alone: what comes with an image, such as where it was taken, goes no further.
    bare = Image.new(plain.mode, plain.size)
    bare.paste(plain)
    turn = _TURNS.get(orientation)
    return bare if turn is None else bare.transpose(turn)


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF's orientation."""
