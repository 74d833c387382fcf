from dataclasses import dataclass
from uuid import UUID

NOBODY = UUID(int=0)
"""The caller of a call that nobody signed."""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What tells one request from another: who sent it, under which id, with which content."""

    caller_id: UUID
    request_id: UUID
    digest: bytes
    """A digest of the method and the content; never the content."""

    @property
    def scope(self) -> tuple[UUID, UUID]:
        """What is unique: one caller's one id."""
        return (self.caller_id, self.request_id)


@dataclass(frozen=True, slots=True)
class Claim:
    """A request to be claimed, with its answer where that is known beforehand."""

    key: RequestKey
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class EarlierRequest:
    """A request as it first came, and the answer that it had."""

    digest: bytes
    answer: str | None
