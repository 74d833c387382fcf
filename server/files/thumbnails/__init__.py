"""Thumbnails of images, made in processes that hostile content may break."""

from collections.abc import Awaitable, Callable
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

    async def make(self, read: Callable[[], Awaitable[bytes]], edge_pixels: int) -> Thumbnail:
        """A thumbnail whose longer edge has no more pixels than these; an image is never enlarged.

        The image is read once a process is free for it, so that few are in memory however many wait; its kind is told
        by its content. Raises NoThumbnail, Overloaded, and what reading raises.
        """

        async def request() -> bytes:
            content = await read()
            if len(content) > MAX_IMAGE_BYTES:
                raise NoThumbnail(Ending.TOO_LARGE)
            return request_of(content, edge_pixels)

        ending, width, height, webp = answer_of(await self.processes.ask_with(request))
        if ending is not Ending.MADE:
            raise NoThumbnail(ending)
        return Thumbnail(webp, width, height)
