"""What a refusal is, and the refusals that are the same for every service.

A refusal's docstring is its message. Its `reason` follows from its name, OUT_OF_STOCK from OutOfStock, and is declared
in the module's errors.proto. What it is raised with becomes the metadata that a client reads, and fills the {names} in
the message. So it may contain ids, SKUs, names of roles and the like, and never a secret or a text of a caller's own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil
from typing import ClassVar, Self


class Code(Enum):
    """The canonical codes that a refusal can have."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """What is wrong with one field, named by its path, such as "lines[1].sku"."""

    path: str
    description: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class PreconditionViolation:
    """The state that prevents the call."""

    kind: str
    """Its kind, such as "STOCK"."""
    subject: str
    """Which one, such as a SKU."""
    description: str


MAX_NAMED = 20
_MAX_SHOWN = 100
"""In characters."""
_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")


def printable(value: str) -> str:
    """A value as a message shows it: in one line, whatever characters it contains, and not longer than 100 of them."""
    if not value.isprintable():
        value = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in value)
    return value if len(value) <= _MAX_SHOWN else f"{value[: _MAX_SHOWN - 1]}…"


def snake_case(name: str) -> str:
    """A name of words that begin in capitals, such as OutOfStock, as out_of_stock."""
    return _WORD_START.sub("_", name).lower()


class Refusal(Exception):
    """The call is refused."""

    code: ClassVar[Code]
    reason: ClassVar[str]
    """What a client branches on: the name of the class in capitals."""
    retry_after: float | None = None
    """After how many seconds the same call may go through; None where repeating it is no use."""

    def __init_subclass__(cls) -> None:
        cls.reason = snake_case(cls.__name__).upper()

    def __init__(
        self,
        *,
        fields: Sequence[FieldViolation] = (),
        preconditions: Sequence[PreconditionViolation] = (),
        retry_after: float | None = None,
        **metadata: str,
    ) -> None:
        """`retry_after` is in seconds, where the class does not say it.

        Of many fields or preconditions the first 20 are named and the rest is counted: an answer's metadata is bounded.
        """
        super().__init__()
        if retry_after is not None:
            self.retry_after = retry_after
        self.fields = tuple(fields[:MAX_NAMED])
        self.preconditions = tuple(preconditions[:MAX_NAMED])
        self.count = len(fields) + len(preconditions)
        """How many fields and preconditions there are, also where not all are named."""
        self.metadata = metadata

    def __str__(self) -> str:
        return self.message()

    def message(self) -> str:
        """What is wrong with what, in one line for people, who often see nothing but this."""
        number = self.metadata.get("message_number")
        return f"message {number} of the stream: {self._said()}" if number else self._said()

    def sentence(self) -> str:
        """The docstring's first line, with the metadata in the place of their {names}, and {seconds} to wait."""
        line = (type(self).__doc__ or "").strip().splitlines()[0]
        values = {name: printable(value) for name, value in self.metadata.items()}
        return line.format_map({"seconds": ceil(self.retry_after or 0), **values})

    def at_message(self, number: int) -> Self:
        """The same, of a message of a stream by its number, which counts from 1."""
        self.metadata["message_number"] = str(number)
        return self

    def _said(self) -> str:
        more = f" (and {self.count - 1:,} more)" if self.count > 1 else ""
        if self.fields:
            first = self.fields[0]
            return f"{first.path}: {first.description}{more}" if first.path else f"{first.description}{more}"
        if self.preconditions:
            return f"{printable(self.preconditions[0].subject)}: {self.preconditions[0].description}{more}"
        return self.sentence()


class FieldInvalid(Refusal):
    """A field is invalid."""

    code = Code.INVALID_ARGUMENT

    @classmethod
    def of(cls, path: str, description: str) -> "FieldInvalid":
        return cls(fields=[FieldViolation(path, description)])


class BodyMalformed(Refusal):
    """The body cannot be parsed as the request message of {method}."""

    code = Code.INVALID_ARGUMENT


class MessageTooLarge(Refusal):
    """The message is {size_bytes} bytes, but {method} accepts at most {limit_bytes}."""

    code = Code.RESOURCE_EXHAUSTED


class MetadataTooLarge(Refusal):
    """The call's metadata exceeds the {limit_bytes} bytes that this server accepts."""

    code = Code.RESOURCE_EXHAUSTED


class MethodUnknown(Refusal):
    """This server has no method {method}."""

    code = Code.UNIMPLEMENTED


class TokenInvalid(Refusal):
    """The access token is missing, malformed, expired or revoked: send one as "authorization: Bearer <token>"."""

    code = Code.UNAUTHENTICATED


class PermissionMissing(Refusal):
    """The permission {permission} is required, and none of the caller's roles grants it."""

    code = Code.PERMISSION_DENIED


class AccessChanged(Refusal):
    """The caller's permissions changed while this stream was open: open it again."""

    code = Code.UNAVAILABLE
    retry_after = 0.2


class RequestIdReused(Refusal):
    """This request_id was already used with different content."""

    code = Code.INVALID_ARGUMENT


class AnswerFromNewerVersion(Refusal):
    """A newer version of the server already made this change, and this one cannot read what it answered: try again."""

    code = Code.UNAVAILABLE
    reason = "ANSWER_FROM_NEWER_VERSION"
    retry_after = 1.0


class PageTokenInvalid(Refusal):
    """The page_token is malformed, or belongs to a different list."""

    code = Code.INVALID_ARGUMENT


class ResumeTokenInvalid(Refusal):
    """The resume_token is malformed, or belongs to a different watch."""

    code = Code.INVALID_ARGUMENT


class ResumeTokenExpired(Refusal):
    """The resume_token has expired: it is over 30 days old, or the database failed over or was restored."""

    code = Code.FAILED_PRECONDITION


class AccountDeleted(Refusal):
    """The account {account_id} was deleted: nothing can be made for it any more."""

    code = Code.FAILED_PRECONDITION


class EtagMismatch(Refusal):
    """The resource has changed since this etag was read; its etag is now {etag}: read it again."""

    code = Code.ABORTED


class DatabaseUnavailable(Refusal):
    """The database is not responding: try again."""

    code = Code.UNAVAILABLE
    retry_after = 1.0


class Contention(Refusal):
    """Other changes kept conflicting with this one, which was not made: try again."""

    code = Code.ABORTED
    retry_after = 0.1


class DeadlineExceeded(Refusal):
    """The call took longer than this server allows."""

    code = Code.DEADLINE_EXCEEDED


class Stopping(Refusal):
    """This server is shutting down: try again, and another one will answer."""

    code = Code.UNAVAILABLE
    retry_after = 0.2


class Overloaded(Refusal):
    """This server is overloaded: try again."""

    code = Code.RESOURCE_EXHAUSTED
    retry_after = 1.0


class TooManyConcurrentCalls(Refusal):
    """The caller already has {most} calls or streams of this kind open: wait for some of them to end."""

    code = Code.RESOURCE_EXHAUSTED
    retry_after = 1.0


class RateLimited(Refusal):
    """The caller has exceeded its rate limit: try again in {seconds} s."""

    code = Code.RESOURCE_EXHAUSTED


class Internal(Refusal):
    """An internal error occurred: search the server's log for the call {call_id}."""

    code = Code.INTERNAL
