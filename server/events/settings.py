"""What is set for events: how long they are kept, which are taken, where they stand, and what is counted beside."""

from collections.abc import Mapping

from pydantic import field_validator

from server.frame.environment import listed
from server.frame.settings import DatabaseApart, DeclaredSettings, Deployment, Shown, setting
from storage.url import parameters, redacted

_URL = "BACKROOM_EVENTS_DATABASE_URL"
_APART = "events"
"""As `storage.events.store` names what stands there; not imported, since who reads settings needs no store."""
SOURCES = ("commerce", "bookings", "tasks", "flags")
"""The modules whose own events can be counted as well."""


class EventsSettings(DeclaredSettings):
    """The module `events`: how long events are kept, which are taken, and where they stand."""

    events_retention_days: int = setting(
        "BACKROOM_EVENTS_RETENTION_DAYS",
        400,
        "how many days events are kept; older ones are refused, and 0 keeps all from 1970 on",
        ge=0,
        le=4_000,
    )
    events_ahead_minutes: int = setting(
        "BACKROOM_EVENTS_AHEAD_MINUTES",
        1440,
        "how far in the future an event's time may be, in minutes: clocks differ",
        ge=0,
        le=525_600,
    )
    events_declared_only: bool = setting(
        "BACKROOM_EVENTS_DECLARED_ONLY",
        False,
        "whether an event is refused whose type is not declared",
    )
    events_database_url: str | None = setting(
        _URL,
        None,
        "a database of their own for events, which `backroom migrate` brings up to date too: so their load moves away"
        " from orders",
        unset="the same database",
        example="postgresql://user:password@host3/events",
        page="docs/event-sources.md#a-database-of-their-own",
        secret=True,
    )
    events_from_modules: tuple[str, ...] = setting(
        "BACKROOM_EVENTS_FROM_MODULES",
        (),
        f"the modules whose own events are counted as well, with commas between: some of"
        f" {', '.join(f'`{each}`' for each in SOURCES)}",
        unset="none",
        example="commerce,bookings",
        page="docs/event-sources.md#what-backroom-itself-tells",
    )
    events_requests_per_second: float = setting(
        "BACKROOM_EVENTS_REQUESTS_PER_SECOND",
        100.0,
        "how often one caller may send events by HTTP to each process in the long run; `0` limits nobody",
        ge=0,
        le=1e6,
    )

    def databases_apart(self) -> Mapping[str, DatabaseApart]:
        url = self.events_database_url
        return {_APART: DatabaseApart(_URL, url)} if url else {}

    def shown(self, deployment: Deployment) -> Mapping[str, Shown]:
        url = self.events_database_url
        return {_URL: Shown(redacted(url))} if url else {}

    @field_validator("events_database_url")
    @classmethod
    def _well_formed(cls, value: str | None) -> str | None:
        if value is not None:
            parameters(value)
        return value

    @field_validator("events_from_modules", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return listed(value) if isinstance(value, str) else value

    @field_validator("events_from_modules")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in SOURCES:
                raise ValueError(f"must be some of {', '.join(SOURCES)}, and has {name}")
        return value
