from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from server.frame.caller import Caller
from server.frame.editing import Edit, changed, check_etag
from server.webhooks.errors import EventTypeUnknown, TooManyEndpoints
from storage.webhooks.records import Endpoint, EndpointState

MAX_ENDPOINTS = 1000
OVERLAP = timedelta(hours=24)
"""For how long requests are signed with the old secret too, once there is a new one."""


@dataclass(frozen=True, slots=True)
class EndpointDraft:
    """An endpoint as a caller describes it."""

    url: str
    description: str
    event_types: tuple[str, ...]
    caller: Caller

    def as_endpoint(self, endpoint_id: UUID, now: datetime) -> Endpoint:
        text, caller_id = (self.url, self.description, self.event_types), self.caller.account_id
        return Endpoint(endpoint_id, *text, EndpointState.ENABLED, "", None, 1, now, now, caller_id, caller_id)


@dataclass(frozen=True, slots=True)
class Rotation:
    """A new secret, by its number, and until when the one before is signed with."""

    endpoint_id: UUID
    generation: int
    previous_end_time: datetime


def check_types(wanted: Iterable[str], known: Iterable[str]) -> None:
    """Raises EventTypeUnknown, which names the first that nobody knows."""
    unknown = sorted({*wanted} - {*known})
    if unknown:
        raise EventTypeUnknown(event_type=unknown[0])


def check_count(count: int) -> None:
    """Whether there may be one more endpoint; raises TooManyEndpoints."""
    if count >= MAX_ENDPOINTS:
        raise TooManyEndpoints(limit=str(MAX_ENDPOINTS))


def edited(endpoint: Endpoint, edit: Edit[UUID], caller: Caller, now: datetime) -> Endpoint:
    """The endpoint after a caller's edit; raises EtagMismatch where another change came first."""
    check_etag(endpoint, edit)
    values = dict(edit.values)
    match values.get("state"):
        case EndpointState.ENABLED:
            values |= {"disabled_reason": "", "failing_since": None}
        case EndpointState.DISABLED if endpoint.enabled:
            values["disabled_reason"] = f"disabled by {caller.account_id}"
    if changes_grant(endpoint, values):
        values["granted_by"] = caller.account_id
    return changed(endpoint, values, now)


def changes_grant(endpoint: Endpoint, values: Mapping[str, Any]) -> bool:
    """Whether new values decide anew what is told, and where: then whoever sets them answers for it."""
    news = {name for name, value in values.items() if getattr(endpoint, name) != value}
    return bool(news & {"url", "event_types"}) or ("state" in news and values["state"] is EndpointState.ENABLED)
