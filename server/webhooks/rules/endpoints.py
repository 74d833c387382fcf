from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from server.frame.caller import Caller
from server.frame.errors import EtagMismatch
from server.webhooks.errors import EventTypeUnknown, TooManyEndpoints
from storage.webhooks.records import Endpoint, EndpointState

MOST_ENDPOINTS = 1000
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
class EndpointEdit:
    """The fields to change and their new values, of the endpoint that the caller read under an etag."""

    endpoint_id: UUID
    etag: str
    """Empty where the caller does not mind edits in between."""
    values: Mapping[str, Any]
    caller: Caller


@dataclass(frozen=True, slots=True)
class Rotation:
    """A new secret, by its number, and until when the one before is signed with."""

    endpoint_id: UUID
    generation: int
    previous_end_time: datetime


def etag_of(endpoint: Endpoint) -> str:
    return f"v{endpoint.version}"


def check_types(wanted: Iterable[str], known: Iterable[str]) -> None:
    """Raises EventTypeUnknown, which names the first that nobody knows."""
    unknown = sorted({*wanted} - {*known})
    if unknown:
        raise EventTypeUnknown(event_type=unknown[0])


def check_count(count: int) -> None:
    """Whether there may be one more endpoint; raises TooManyEndpoints."""
    if count >= MOST_ENDPOINTS:
        raise TooManyEndpoints(limit=str(MOST_ENDPOINTS))


def edited(endpoint: Endpoint, edit: EndpointEdit, now: datetime) -> Endpoint:
    """The endpoint after an edit; raises EtagMismatch where another change came first."""
    if edit.etag and edit.etag != etag_of(endpoint):
        raise EtagMismatch(etag=etag_of(endpoint))
    values = dict(edit.values)
    match values.get("state"):
        case EndpointState.ENABLED:
            values |= {"disabled_reason": "", "failing_since": None}
        case EndpointState.DISABLED if endpoint.enabled:
            values["disabled_reason"] = f"disabled by {edit.caller.account_id}"
    if grants(endpoint, values):
        values["granted_by"] = edit.caller.account_id
    return changed(endpoint, values, now)


def grants(endpoint: Endpoint, values: Mapping[str, Any]) -> bool:
    """Whether new values decide anew what is told, and where: then whoever sets them answers for it."""
    news = {name for name, value in values.items() if getattr(endpoint, name) != value}
    return bool(news & {"url", "event_types"}) or ("state" in news and values["state"] is EndpointState.ENABLED)


def changed(endpoint: Endpoint, values: Mapping[str, Any], now: datetime) -> Endpoint:
    """The endpoint with new values; the same one where none of them is new."""
    if all(getattr(endpoint, name) == value for name, value in values.items()):
        return endpoint
    return replace(endpoint, **values, version=endpoint.version + 1, update_time=now)
