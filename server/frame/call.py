"""One call, as the frame and the servicers see it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from uuid import UUID

import grpc
from google.protobuf.message import Message
from uuid_utils import uuid4

from server.frame.caller import ANONYMOUS, Caller
from server.frame.wire import digest_of
from storage.frame.records import ChangeContext, RequestKey

MAX_METADATA_BYTES = 16 * 1024
"""In bytes, of one call, each pair with the 32 that HTTP/2 counts in addition to its text (RFC 9113, 6.5.2)."""

SENT_BYTES_A_CALL = 4 * 1024
"""To read so much of a message costs the server about what a small call does: 1 to 2 ms of a core."""

CALL_ID = re.compile(r"[0-9A-Za-z._-]{1,64}")
_TRACE_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""https://www.w3.org/TR/trace-context/#traceparent-header, which forbids the version ff and ids of zeros."""


if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]
else:
    Context = grpc.aio.ServicerContext


def unchanged(message: Any) -> Any:
    return message


class Call(Context):
    """gRPC's context of a call, with what the interceptors learned of it on the way in.

    `id` names the call in the log and in the trailing metadata `x-request-id`; it is the caller's own where it sent a
    short one. It is not the `request_id` that makes repeating a change safe.
    `serialize` makes bytes of what is written.
    """

    def __init__(
        self,
        context: Context,
        method: str,
        serialize: Callable[[Any], Any] = unchanged,
        *,
        metadata_fits: bool = True,
    ) -> None:
        """Empty where the metadata exceeds the limit."""
        self._context = context
        self._serialize = serialize
        self.metadata_fits = metadata_fits
        # gRPC builds it again on each access.
        self._received: Sequence[tuple[str, str | bytes]] = (
            tuple(context.invocation_metadata() or ()) if metadata_fits else ()
        )
        self._address: str | None = None
        self.method = method
        self.time = datetime.now(UTC)
        self.caller: Caller = ANONYMOUS
        self.refused_for: str | None = None
        self.fault: str | None = None
        self.received_bytes = 0
        """Of its one message, once that is read."""
        self.written_bytes = 0
        """Of the answers that it has written."""
        self.charged_bytes = 0
        """Of the answers of a stream, those that its caller is charged for as for one answer: of a watch, none."""
        self.sent_bytes_a_call = SENT_BYTES_A_CALL
        """Of the messages of a stream that it sends, each so many bytes count as one call more for the rate limit."""
        self.further_calls = 0
        """As how many calls more it counts for the rate limit, where its size does not tell."""
        self.writing: Callable[[], AbstractContextManager[None]] = nullcontext
        """Entered around each writing of an answer."""
        self._metadata: Mapping[str, str | bytes] | None = None
        sent = dict(self._received)
        self.id = _matched(CALL_ID, sent.get("x-request-id")) or str(uuid4())
        self.trace_id = _matched(_TRACE_PARENT, sent.get("traceparent"), group=1) or uuid4().hex

    @property
    def metadata(self) -> Mapping[str, str | bytes]:
        """What was sent last under each name; in texts, a space replaces each character that cannot be printed."""
        if self._metadata is None:
            self._metadata = {name: cleaned(value) for name, value in self._received}
        return self._metadata

    @property
    def address(self) -> str:
        """The network address that it comes from; empty where it has none."""
        if self._address is None:
            self._address = address_of(self.peer())
        return self._address

    @address.setter
    def address(self, address: str) -> None:
        self._address = address

    def sent(self, name: str) -> Sequence[str]:
        """The values of a header of text, each time that it was sent."""
        return [value for sent, value in self._received if sent == name and isinstance(value, str)]

    def change_context(self, *requests: Message, secret: bytes = b"", time: datetime | None = None) -> ChangeContext:
        """The context of the change that this call requests, for a use case; `time` is when, where not at its start.

        The changes of a stream are one request, identified by the `request_id` of its first message.
        A request that holds a password takes a `secret`, so that its digest cannot be used to guess the password.
        """
        request_id = getattr(requests[0], "request_id", "") if requests else ""  # some changes need none
        key = None
        if request_id:
            key = RequestKey(self.caller.account_id, UUID(request_id), digest_of(*requests, secret=secret))
        account_id, action = self.caller.account_id, self.method.removeprefix("/")
        return ChangeContext(account_id, action, time or self.time, self.address, self.id, key)

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()
    ) -> Any:  # gRPC never returns from it
        await self._context.abort(code, details, (("x-request-id", self.id), *trailing_metadata))

    async def abort_with_status(self, status: grpc.Status) -> Any:
        await self.abort(status.code, status.details, status.trailing_metadata or ())

    async def read(self) -> Any:
        return await self._context.read()

    async def write(self, message: Any) -> None:
        written = self._serialize(message)
        self.written_bytes += len(written)
        with self.writing():
            await self._context.write(written)

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        await self._context.send_initial_metadata(initial_metadata)

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._context.set_trailing_metadata(trailing_metadata)

    def invocation_metadata(self) -> Any:
        return self._received

    def set_code(self, code: grpc.StatusCode) -> None:
        self._context.set_code(code)

    def set_details(self, details: str) -> None:
        self._context.set_details(details)

    def set_compression(self, compression: grpc.Compression) -> None:
        self._context.set_compression(compression)

    def disable_next_message_compression(self) -> None:
        self._context.disable_next_message_compression()

    def peer(self) -> str:
        return self._context.peer()

    def peer_identities(self) -> Iterable[bytes] | None:
        return self._context.peer_identities()

    def peer_identity_key(self) -> str | None:
        return self._context.peer_identity_key()

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return self._context.auth_context()

    def time_remaining(self) -> float:
        return self._context.time_remaining()

    def trailing_metadata(self) -> Any:
        return self._context.trailing_metadata()

    def code(self) -> Any:
        return self._context.code()

    def details(self) -> str:
        return self._context.details()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._context.add_done_callback(callback)  # type: ignore[arg-type]  # the stubs' own type has no name

    def cancelled(self) -> bool:
        return self._context.cancelled()

    def done(self) -> bool:
        return self._context.done()


def cleaned(value: str | bytes) -> str | bytes:
    """A text without the characters that would do something where it is shown or stored; bytes as they are."""
    if isinstance(value, bytes) or value.isprintable():
        return value
    return "".join(each if each.isprintable() else " " for each in value)


def fits(metadata: Iterable[tuple[str, str | bytes]] | None) -> bool:
    """Whether a call may have so much metadata."""
    return not metadata or sum([len(name) + len(value) + 32 for name, value in metadata]) <= MAX_METADATA_BYTES


@lru_cache(1024)
def address_of(peer: str) -> str:
    """The network address of a peer as gRPC names it, such as "ipv4:10.0.0.7:51234"; empty where it has none."""
    kind, _, rest = peer.partition(":")
    host = unquote(rest).rpartition(":")[0]
    return host.strip("[]") if kind in ("ipv4", "ipv6") else ""


def _matched(pattern: re.Pattern[str], value: str | bytes | None, group: int = 0) -> str | None:
    found = pattern.fullmatch(value) if isinstance(value, str) else None
    return found.group(group) if found else None
