"""Pages of a list, in keyset order: a page token says where the last page ended, and of which list (AIP-158)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.message import DecodeError, Message

from backroom.common.v1 import page_pb2
from server.frame import base64url
from server.frame.errors import PageTokenInvalid
from server.frame.repeating import digest_of

DEFAULT_SIZE = 50
MAXIMUM_SIZE = 1000
LARGEST_PAGE_BYTES = 1024 * 1024
"""Of an answer's items together: most clients take 4 MiB, and a hundred answers may wait for one caller's reading."""

Item = TypeVar("Item")
Told = TypeVar("Told", bound=Message)


@dataclass(frozen=True, slots=True)
class Page:
    """Which page of a list is asked for."""

    size: int
    after: tuple[str, ...] | None
    """The sort key behind which the page begins; None for the first page."""
    list_digest: bytes

    @property
    def limit(self) -> int:
        """One more than the page holds, to see whether another follows."""
        return self.size + 1

    def key(self, *kinds: Callable[[str], Any]) -> tuple[Any, ...] | None:
        """The sort key, each column read by its kind; raises PageTokenInvalid where it does not fit."""
        if self.after is None:
            return None
        try:
            return tuple(kind(value) for kind, value in zip(kinds, self.after, strict=True))
        except ValueError:
            raise PageTokenInvalid from None

    def by_time(self) -> tuple[datetime, UUID] | None:
        """The sort key of a list that is ordered by (create_time, id), likewise; None for the first page."""
        key = self.key(key_time, UUID)
        return (key[0], key[1]) if key else None

    def told(
        self, found: Sequence[Item], key: Callable[[Item], Sequence[object]], message: Callable[[Item], Told]
    ) -> tuple[Sequence[Told], str]:
        """The page out of up to `limit` items as messages, and the token of the next one; empty after the last.

        It ends before the item by which it would be larger than 1 MiB, but holds one at least.
        """
        messages: list[Told] = []
        size = 0
        for item in found[: self.size]:
            messages.append(message(item))
            size += messages[-1].ByteSize()
            if size > LARGEST_PAGE_BYTES and len(messages) > 1:
                messages.pop()
                break
        return messages, replace(self, size=len(messages)).cut(found, key)[1]

    def cut(self, found: Sequence[Item], key: Callable[[Item], Sequence[object]]) -> tuple[Sequence[Item], str]:
        """The page out of up to `limit` items, and the token of the next one; an empty token after the last."""
        if len(found) <= self.size:
            return found, ""
        items = found[: self.size]
        after = [str(value) for value in key(items[-1])]
        token = page_pb2.PageToken(list_digest=self.list_digest, after=after)
        return items, base64url.encoded(token.SerializeToString())


def key_time(text: str) -> datetime:
    """A time out of a page token, as `cut` writes one; raises ValueError where it is none, or has no time zone."""
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:  # Python compares it with no other time, and PostgreSQL takes it for one of its own zone's
        raise ValueError("no time zone")
    return value


def page_of(request: Any) -> Page:
    """The page that a List request asks for; raises PageTokenInvalid where its token is not of this list."""
    filters: Message = type(request)()
    filters.CopyFrom(request)
    filters.ClearField("page_size")
    filters.ClearField("page_token")
    list_digest = digest_of(filters)[:16]
    size = min(request.page_size or DEFAULT_SIZE, MAXIMUM_SIZE)
    return Page(size, _after(request.page_token, list_digest), list_digest)


def _after(token: str, list_digest: bytes) -> tuple[str, ...] | None:
    if not token:
        return None
    try:
        content = page_pb2.PageToken.FromString(base64url.decoded(token))
    except (ValueError, DecodeError):
        raise PageTokenInvalid from None
    if content.list_digest != list_digest or any("\0" in value for value in content.after):
        raise PageTokenInvalid
    return tuple(content.after)
