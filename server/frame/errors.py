"""What a refusal is, and the refusals that are the same for every service.

A refusal's docstring is its message, its `reason` stands in the module's errors.proto, and what it is raised with
becomes the metadata that a client reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar


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
    """What of the state of things stands against the call."""

    kind: str
    """What was asked of it, such as "STOCK"."""
    subject: str
    """Which one, such as a SKU."""
    description: str


class Refusal(Exception):
    """The call is refused."""

    code: ClassVar[Code]
    reason: ClassVar[str]
    retry_after: float | None = None
    """After how many seconds the same call may go through; None where repeating it is no use."""

    def __init__(
        self,
        *,
        fields: Sequence[FieldViolation] = (),
        preconditions: Sequence[PreconditionViolation] = (),
        retry_after: float | None = None,
        **metadata: str,
    ) -> None:
        """`retry_after` is in seconds, where the class does not say it."""
        super().__init__(self.message())
        if retry_after is not None:
            self.retry_after = retry_after
        self.fields = tuple(fields)
        self.preconditions = tuple(preconditions)
        self.metadata = metadata

    @classmethod
    def message(cls) -> str:
        """The docstring's first line."""
        return (cls.__doc__ or "").strip().splitlines()[0]


class FieldInvalid(Refusal):
    """A field is out of its bounds."""

    code = Code.INVALID_ARGUMENT
    reason = "FIELD_INVALID"

    @classmethod
    def of(cls, path: str, description: str) -> "FieldInvalid":
        return cls(fields=[FieldViolation(path, description)])


class BodyMalformed(Refusal):
    """The body is not a message of the method's request type."""

    code = Code.INVALID_ARGUMENT
    reason = "BODY_MALFORMED"


class MessageTooLarge(Refusal):
    """The message is larger than this server takes."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "MESSAGE_TOO_LARGE"


class MethodUnknown(Refusal):
    """This server has no such method."""

    code = Code.UNIMPLEMENTED
    reason = "METHOD_UNKNOWN"


class TokenInvalid(Refusal):
    """A valid access token is needed: send one as "authorization: Bearer <token>"."""

    code = Code.UNAUTHENTICATED
    reason = "TOKEN_INVALID"


class PermissionMissing(Refusal):
    """None of the caller's roles holds the permission that this method needs."""

    code = Code.PERMISSION_DENIED
    reason = "PERMISSION_MISSING"


class AccessChanged(Refusal):
    """What the caller may do has changed while this stream was open: open it again."""

    code = Code.UNAVAILABLE
    reason = "ACCESS_CHANGED"
    retry_after = 0.2


class RequestIdReused(Refusal):
    """This request_id was used before, with other content."""

    code = Code.INVALID_ARGUMENT
    reason = "REQUEST_ID_REUSED"


class PageTokenInvalid(Refusal):
    """The page_token is malformed, or continues another list."""

    code = Code.INVALID_ARGUMENT
    reason = "PAGE_TOKEN_INVALID"


class ResumeTokenInvalid(Refusal):
    """The resume_token is malformed, or of another watch."""

    code = Code.INVALID_ARGUMENT
    reason = "RESUME_TOKEN_INVALID"


class ResumeTokenExpired(Refusal):
    """The resume_token is older than changes are kept for: list, and watch from now on."""

    code = Code.FAILED_PRECONDITION
    reason = "RESUME_TOKEN_EXPIRED"


class EtagMismatch(Refusal):
    """The resource has changed since the etag was read: read it again."""

    code = Code.ABORTED
    reason = "ETAG_MISMATCH"


class Unavailable(Refusal):
    """The database does not answer: try again."""

    code = Code.UNAVAILABLE
    reason = "STORE_UNAVAILABLE"
    retry_after = 1.0


class Contention(Refusal):
    """Other changes kept colliding with this one, which changed nothing: try again."""

    code = Code.ABORTED
    reason = "CONTENTION"
    retry_after = 0.1


class DeadlineExceeded(Refusal):
    """The call took longer than this server allows."""

    code = Code.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


class Stopping(Refusal):
    """This server is stopping: another one will answer."""

    code = Code.UNAVAILABLE
    reason = "STOPPING"
    retry_after = 0.2


class Overloaded(Refusal):
    """This server has more work than it can carry: try again."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "OVERLOADED"
    retry_after = 1.0


class RateLimited(Refusal):
    """This caller calls more often than it may: try again later."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "RATE_LIMITED"


class Internal(Refusal):
    """Something unforeseen went wrong; the server's log knows it under the call's id."""

    code = Code.INTERNAL
    reason = "INTERNAL"
