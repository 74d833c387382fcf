from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

QUEUE = "deliveries"
"""The queue that attempts are in."""


class EndpointState(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"


class DeliveryState(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL that events are sent to."""

    id: UUID
    url: str
    description: str
    event_types: tuple[str, ...]
    """None of them means all."""
    state: EndpointState
    disabled_reason: str
    failing_since: datetime | None
    """When the first of the attempts began that have all failed since; None while they succeed."""
    version: int
    """Counts the changes from 1 on."""
    create_time: datetime
    update_time: datetime
    created_by: UUID | None = None
    """None for one that the record of changes does not know of."""
    granted_by: UUID | None = None
    """Whose permissions decide what it is sent: who last set its URL or types, or enabled it."""

    @property
    def enabled(self) -> bool:
        return self.state is EndpointState.ENABLED


@dataclass(frozen=True, slots=True)
class EndpointSecret:
    """What an endpoint's requests are signed with."""

    endpoint_id: UUID
    generation: int
    """Counts an endpoint's secrets from 1 on."""
    secret: bytes = field(repr=False)
    """As it is kept: sealed, but for what an earlier version left in the clear."""
    sealed: bool
    create_time: datetime
    end_time: datetime | None
    """From when on nothing is signed with it; None for the newest."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint."""

    id: UUID
    endpoint_id: UUID
    event_sequence: int | None
    """The event in the log; None for a test event, which is in no log."""
    event_type: str
    body: str = field(repr=False)
    state: DeliveryState
    attempt_count: int
    next_attempt_time: datetime | None
    """From when on it is due; None where it is not pending."""
    last_attempt_time: datetime | None
    response_status: int
    error: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries to list; None means any."""

    endpoint_id: UUID | None = None
    state: DeliveryState | None = None


@dataclass(frozen=True, slots=True)
class ScheduledDelivery:
    """A delivery that is next, and its endpoint."""

    endpoint_id: UUID
    delivery_id: UUID
