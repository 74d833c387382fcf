"""Who uploads over HTTP, what to, and what the headers of tus say."""

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from uuid import UUID

from starlette.datastructures import Headers
from starlette.requests import Request

from server.files.errors import FileNotFound
from server.files.links import Links
from server.files.rules import access
from server.files.rules.links import UploadLink
from server.files.service import UploadLinks
from server.frame.addresses import caller_networks
from server.frame.caller import Caller
from server.frame.errors import PermissionMissing, RateLimited, TokenInvalid
from server.frame.http import HttpCallers, call_id_of
from server.frame.interceptors.rate_limit import Buckets, Rate
from server.frame.module import Clock
from storage.frame.records import ChangeContext

_RATE = Rate(per_second=50, burst=500)
"""Of one network: each chunk of an upload is a request."""
CHECKSUMS: Mapping[str, Callable[[bytes], bytes]] = {
    "sha1": lambda data: hashlib.sha1(data).digest(),  # noqa: S324 - tus asks for it, against damage and not for secrecy
    "sha256": lambda data: hashlib.sha256(data).digest(),
    "md5": lambda data: hashlib.md5(data).digest(),  # noqa: S324 - as above
    "crc32": lambda data: zlib.crc32(data).to_bytes(4),
}
_MAX_METADATA_CHARACTERS = 8192
_NAMELESS = "file"
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,63}/[A-Za-z0-9!#$&^_.+-]{1,63}")


class Malformed(Exception):
    """A request that tus does not know: with this status, and this text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Uploading:
    """Who uploads, by which right, and which file; no file where one is to be created."""

    caller: Caller
    file_id: UUID | None
    link: UploadLink | None
    """By which the caller lends its rights, to create files."""
    address: str
    call_id: str

    def context(self, action: str, now: Clock) -> ChangeContext:
        return ChangeContext(self.caller.account_id, action, now(), self.address, self.call_id, None)


class UploadRequests:
    """Decides who uploads: by a token or a key, or by a signed link in the path."""

    def __init__(self, callers: HttpCallers, upload_links: UploadLinks, links: Links, now: Clock) -> None:
        self._callers = callers
        self._upload_links = upload_links
        self._links = links
        self._now = now
        self._buckets = Buckets(_RATE, monotonic)

    async def admitted(self, request: Request) -> Uploading:
        """Raises RateLimited, TokenInvalid, PermissionMissing."""
        address, call_id, path = self._callers.address_of(request), call_id_of(request), request.path_params
        if wait := self._buckets.take_from_all(caller_networks(address)):
            raise RateLimited(retry_after=wait)
        if "link" in path:
            link = self._links.upload(path["link"], self._now())
            lender = await self._upload_links.lender(link.account_id)
            return Uploading(lender, None, link, address, call_id)
        if "right" in path:
            right = self._links.right(path["right"], self._now())
            lender = await self._upload_links.lender(right.account_id)
            return Uploading(lender, right.file_id, None, address, call_id)
        caller = await self._callers.caller_of(request, f"tus {request.method}", call_id)
        if not caller.signed_in:
            raise TokenInvalid
        if not caller.may(access.UPLOAD):
            raise PermissionMissing(permission=access.UPLOAD)
        return Uploading(caller, _file_id(path), None, address, call_id)


def _file_id(path: Mapping[str, str]) -> UUID | None:
    """None where the path names no upload; raises FileNotFound."""
    if "file_id" not in path:
        return None
    try:
        return UUID(path["file_id"])
    except ValueError:
        raise FileNotFound from None


def number(headers: Headers, name: str) -> int:
    """A header that is a number; raises Malformed."""
    text = headers.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise Malformed(400, f"{name} must be a number of bytes.")
    return int(text)


def metadata(header: str) -> Mapping[str, str]:
    """Upload-Metadata: names with values in base64; raises Malformed."""
    if len(header) > _MAX_METADATA_CHARACTERS:
        raise Malformed(400, f"Upload-Metadata must have at most {_MAX_METADATA_CHARACTERS} characters.")
    found = {}
    for pair in filter(None, (each.strip() for each in header.split(","))):
        name, _, value = pair.partition(" ")
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except ValueError:
            raise Malformed(400, f"Upload-Metadata must have {name!r} in base64 of UTF-8.") from None
    return found


def named(said: Mapping[str, str]) -> tuple[str, str]:
    """A file's name, and the type that its sender takes it for; both by the names that clients use."""
    kind = said.get("filetype") or said.get("type") or ""
    return said.get("filename") or said.get("name") or _NAMELESS, kind if _TYPE.fullmatch(kind) else ""


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a chunk must have."""

    algorithm: str
    digest: bytes

    def fits(self, data: bytes) -> bool:
        return CHECKSUMS[self.algorithm](data) == self.digest


def checksum(header: str) -> Checksum | None:
    """Upload-Checksum; None where it is not sent. Raises Malformed."""
    if not header:
        return None
    algorithm, _, digest = header.partition(" ")
    if algorithm not in CHECKSUMS:
        raise Malformed(400, f"Upload-Checksum must be of {', '.join(CHECKSUMS)}.")
    try:
        return Checksum(algorithm, base64.b64decode(digest, validate=True))
    except (binascii.Error, ValueError):
        raise Malformed(400, "Upload-Checksum must be in base64.") from None
