"""Thumbnails of images, made in processes that hostile content may break."""

from dataclasses import dataclass

from server.files.thumbnails.work import MAX_IMAGE_BYTES, Ending, answer_of, request_of
from server.frame.processes import Processes

__all__ = ["IMAGE_TYPES", "MAX_IMAGE_BYTES", "NoThumbnail", "Thumbnail", "ThumbnailMaker"]

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


class NoThumbnail(Exception):
    """Nothing can be shown of this content; `why` says what is the matter with it."""

    def __init__(self, why: Ending) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A still image without any metadata, upright."""

    webp: bytes
    width: int
    height: int


class ThumbnailMaker:
    """Makes thumbnails within bounds of memory, time and pixels."""

    def __init__(self) -> None:
        self.processes = Processes("server.files.thumbnails")

    async def make(self, content: bytes, edge_pixels: int) -> Thumbnail:
        """A thumbnail whose longer edge has no more pixels than these; an image is never enlarged.

        The kind of the image is told by its content. Raises NoThumbnail, Overloaded.
        """
        if len(content) > MAX_IMAGE_BYTES:
            raise NoThumbnail(Ending.TOO_LARGE)
        ending, width, height, webp = answer_of(await self.processes.ask(request_of(content, edge_pixels)))
        if ending is not Ending.MADE:
            raise NoThumbnail(ending)
        return Thumbnail(webp, width, height)
