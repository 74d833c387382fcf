"""What is set for events: how long they are kept, and which are taken."""

from server.frame.settings import DeclaredSettings, setting


class EventsSettings(DeclaredSettings):
    """The module `events`: how long events are kept, and which are taken."""

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
