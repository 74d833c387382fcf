from collections import OrderedDict
from contextlib import aclosing
from uuid import UUID

from server.files.blobs import BlobMissing, Blobs, BlobsUnavailable
from server.files.errors import StorageUnavailable, ThumbnailNotFound
from server.files.service.files import Files
from server.files.thumbnails import IMAGE_TYPES, MAX_IMAGE_BYTES, NoThumbnail, Thumbnail, ThumbnailMaker
from server.frame.caller import Caller
from storage.files.records import Content

_KEPT_BYTES = 16 * 1024 * 1024
_LEAST_BYTES = 512
"""What each counts at least, those among them of which there is no thumbnail."""


class Thumbnails:
    """Shows clean images smaller than they are; what was asked for lately is kept in memory."""

    def __init__(self, files: Files, blobs: Blobs, maker: ThumbnailMaker) -> None:
        self._files = files
        self._blobs = blobs
        self._maker = maker
        self._kept: OrderedDict[tuple[str, int], Thumbnail | None] = OrderedDict()
        self._kept_bytes = 0

    async def get(self, caller: Caller, file_id: UUID, edge_pixels: int) -> Thumbnail:
        """Raises FileNotFound, FileNotServed, ThumbnailNotFound, StorageUnavailable, Overloaded."""
        _, content = await self._files.served(caller, file_id)
        return await self.of_content(content, edge_pixels)

    async def of_content(self, content: Content, edge_pixels: int) -> Thumbnail:
        """Of a content that is served; raises ThumbnailNotFound, StorageUnavailable, Overloaded."""
        if content.content_type not in IMAGE_TYPES or content.size_bytes > MAX_IMAGE_BYTES:
            raise ThumbnailNotFound
        place = content.sha256, edge_pixels
        if place in self._kept:
            self._kept.move_to_end(place)
            found = self._kept[place]
        else:
            found = await self._made(content, edge_pixels)
            self._keep(place, found)
        if found is None:
            raise ThumbnailNotFound
        return found

    async def _made(self, content: Content, edge_pixels: int) -> Thumbnail | None:
        try:
            return await self._maker.make(lambda: self._read(content), edge_pixels)
        except NoThumbnail:
            return None

    async def _read(self, content: Content) -> bytes:
        image = bytearray()
        try:
            async with aclosing(self._blobs.read(content.key, 0, content.size_bytes)) as parts:
                async for part in parts:
                    image += part
        except (BlobsUnavailable, BlobMissing) as error:
            raise StorageUnavailable from error
        return bytes(image)

    def _keep(self, place: tuple[str, int], found: Thumbnail | None) -> None:
        self._kept_bytes += _size(found) - (_size(self._kept.pop(place)) if place in self._kept else 0)
        self._kept[place] = found
        while self._kept_bytes > _KEPT_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= _size(oldest)


def _size(thumbnail: Thumbnail | None) -> int:
    return max(_LEAST_BYTES, len(thumbnail.webp) if thumbnail else 0)
