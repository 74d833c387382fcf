"""What the modules tell in the log of events, as events that are counted."""

import json

from server.events.rules.judging import OWN_SOURCE, micros
from storage.events.records import SentEvent
from storage.frame.records import LoggedEvent

_PEOPLE = ("customer_id", "actor_id", "targeting_key")
"""By which members the modules' events name whom they are about."""
_RESOURCE = "resource"


def own_event(logged: LoggedEvent, module: str) -> SentEvent:
    """An event of a module; its id is the log's number and the time, since a log that was restored counts on from an
    earlier number.

    Its subject is the person whom it names, so that people can be counted and forgotten, and else what it happened to;
    that is its attribute `resource` in either case.
    """
    time = micros(logged.create_time)
    private = logged.type.startswith("_")
    return SentEvent(
        # What modules tell each other may be told twice, and is then of the same subject.
        id=str(logged.subject_id) if private else f"{logged.sequence}-{time}",
        source=f"{OWN_SOURCE}/{module}",
        type=logged.type.removeprefix("_"),
        subject=_person(logged.data) or str(logged.subject_id),
        time=time,
        data=logged.data,
        attributes={_RESOURCE: str(logged.subject_id)},
    )


def _person(data: str) -> str:
    found = json.loads(data)
    people = (found.get(name) for name in _PEOPLE) if isinstance(found, dict) else ()
    return next((str(each) for each in people if each), "")
