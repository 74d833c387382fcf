"""Pages of a list, in keyset order: a page token says where the last page ended, and of which list (AIP-158)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from google.protobuf.message import DecodeError, Message

from backroom.common.v1 import page_pb2
from server.frame import base64url
from server.frame.errors import PageTokenInvalid
from server.frame.wire import digest_of

DEFAULT_SIZE = 50
MAXIMUM_SIZE = 1000
MAX_PAGE_BYTES = 1024 * 1024
"""Of an answer's items together: most clients take 4 MiB, and a hundred answers may wait for one caller's reading."""

Item = TypeVar("Item")
Key = TypeVar("Key")
Column = TypeVar("Column")
Other = TypeVar("Other")
Response = TypeVar("Response", bound=Message | bytes)


@dataclass(frozen=True, slots=True)
class SortOrder(Generic[Key]):
    """By what a list is sorted."""

    key: Callable[[Any], Key]
    """The sort key of an item; a tuple where several columns are in it."""
    read: Callable[[Sequence[str]], Key]
    """The same out of a page token's texts; raises ValueError where they are no such key."""


def by_column(key: Callable[[Any], Column], kind: Callable[[str], Column]) -> SortOrder[Column]:
    """The order by one column, which `kind` reads from its text."""

    def read(texts: Sequence[str]) -> Column:
        (text,) = texts
        return kind(text)

    return SortOrder(key, read)


def by_columns(
    key: Callable[[Any], tuple[Column, Other]], kind: Callable[[str], Column], other: Callable[[str], Other]
) -> SortOrder[tuple[Column, Other]]:
    """The order by two columns, each of which is read from its text by its kind."""

    def read(texts: Sequence[str]) -> tuple[Column, Other]:
        text, second = texts
        return kind(text), other(second)

    return SortOrder(key, read)


@dataclass(frozen=True, slots=True)
class Page(Generic[Key]):
    """Which page of a list is requested."""

    size: int
    after: Key | None
    """The sort key of the item behind which the page begins; None for the first page."""
    order: SortOrder[Key]
    list_digest: bytes

    @property
    def limit(self) -> int:
        """One more than the size of the page, to see whether another follows."""
        return self.size + 1

    def of(
        self,
        found: Sequence[Item],
        message: Callable[[Item], Response],
        *,
        size: Callable[[Item], int] | None = None,
        rest_after: Key | None = None,
    ) -> tuple[Sequence[Response], str]:
        """The page out of up to `limit` items as messages, and the token of the next one; empty after the last.

        A message may be the bytes of one.

        It ends before the item by which it would be larger than 1 MiB, but has one at least.
        `size` is what an item counts for, in bytes, where that is not what its message has.
        `rest_after` is the sort key behind which there may be more, where the search ended before the page was full.
        """
        messages: list[Response] = []
        total = 0
        for item in found[: self.size]:
            messages.append(message(item))
            total += size(item) if size else _size_of(messages[-1])
            if total > MAX_PAGE_BYTES and len(messages) > 1:
                messages.pop()
                break
        if len(messages) == len(found):
            return messages, "" if rest_after is None else self._token_behind(rest_after)
        return messages, self._token_behind(self.order.key(found[len(messages) - 1]))

    def _token_behind(self, key: Key) -> str:
        columns = key if isinstance(key, tuple) else (key,)
        token = page_pb2.PageToken(list_digest=self.list_digest, after=[str(column) for column in columns])
        return base64url.encoded(token.SerializeToString())


def _size_of(message: Message | bytes) -> int:
    return len(message) if isinstance(message, bytes) else message.ByteSize()


def key_time(text: str) -> datetime:
    """A time out of a page token; raises ValueError where it is none, or has no time zone."""
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:  # Python compares it with no other time, and PostgreSQL takes it for one of its own zone's
        raise ValueError("no time zone")
    return value


def key_sequence(text: str) -> int:
    """The place in a log out of a page token; raises ValueError where it is none."""
    value = int(text)
    if not 0 <= value < 2**63:
        raise ValueError("not a sequence")
    return value


BY_TIME = by_columns(lambda item: (item.create_time, item.id), key_time, UUID)
"""The order of most lists: by when an item was made, and by its id where two were made at the same time."""


def page_of(request: Any) -> Page[tuple[datetime, UUID]]:
    """The page that a List request names, of a list by (create_time, id).

    Raises PageTokenInvalid where the request's token is not of this list.
    """
    return page_by(BY_TIME, request)


def page_by(order: SortOrder[Key], request: Any) -> Page[Key]:
    """The same of a list in another order."""
    filters: Message = type(request)()
    filters.CopyFrom(request)
    filters.ClearField("page_size")
    filters.ClearField("page_token")
    list_digest = digest_of(filters)[:16]
    size = min(request.page_size or DEFAULT_SIZE, MAXIMUM_SIZE)
    after = _after(request.page_token, list_digest, order) if request.page_token else None
    return Page(size, after, order, list_digest)


def _after(token: str, list_digest: bytes, order: SortOrder[Key]) -> Key:
    try:
        content = page_pb2.PageToken.FromString(base64url.decoded(token))
        if content.list_digest != list_digest or any("\0" in text for text in content.after):
            raise PageTokenInvalid
        return order.read(content.after)
    except (ValueError, DecodeError):
        raise PageTokenInvalid from None
