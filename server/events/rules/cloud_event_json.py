"""CloudEvents in JSON, `application/cloudevents+json` and `-batch+json`, with the digits of their data as sent."""

from collections.abc import Sequence

from server.events.rules.cloud_events import (
    CONTENT_TYPE,
    DATA,
    DATA_BASE64,
    NotACloudEvent,
    cloud_event,
    data_of,
    decoded,
    is_json,
    malformed,
)
from server.events.rules.json_text import LARGEST_INTEGER, Member, NotJson, after_space, elements, members, read
from storage.events.records import RefusalReason, SentEvent

_MALFORMED = RefusalReason.DATA_MALFORMED


def one(body: bytes) -> SentEvent:
    """The one event of a body; raises NotJson."""
    text = _text(body)
    start = after_space(text, 0)
    found, end = read(text, start)
    if after_space(text, end) != len(text):
        raise NotJson("the body goes on behind its JSON")
    if not isinstance(found, dict):
        raise NotJson("the body must be a JSON object, one event")
    return _event(text[start:end])


def batch(body: bytes, most: int) -> Sequence[SentEvent]:
    """The events of a body, in their order; raises NotJson, also where there are more than `most`."""
    text = _text(body)
    found: list[SentEvent] = []
    for start, value in elements(text, after_space(text, 0)):
        if len(found) == most:
            raise NotJson(f"a batch has at most {most:,} events")
        written = text[start : read(text, start)[1]]
        if isinstance(value, dict):
            found.append(_event(written))
        else:
            found.append(malformed({}, written, NotACloudEvent("an event must be a JSON object")))
    return found


def _event(text: str) -> SentEvent:
    found = list(members(text, 0))
    try:
        return _of_members(found)
    except NotACloudEvent as problem:
        # What its data is may be what is wrong: all of it is kept as it was sent.
        return malformed({name: value for name, value, _ in found if isinstance(value, str)}, text, problem)


def _of_members(found: Sequence[Member]) -> SentEvent:
    """Raises NotACloudEvent."""
    names = [name for name, _, _ in found]
    if len(set(names)) != len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise NotACloudEvent(f"{twice[:40]!a}: is there twice")
    values = {name: (value, text) for name, value, text in found if value is not None}
    data, encoded = values.pop(DATA, None), values.pop(DATA_BASE64, None)
    attributes = {name: _attribute(name, value) for name, (value, _) in values.items()}
    return cloud_event(attributes, _data(data, encoded, attributes.get(CONTENT_TYPE, "")))


def _data(data: tuple[object, str] | None, encoded: tuple[object, str] | None, content_type: str) -> str:
    if data is not None and encoded is not None:
        raise NotACloudEvent(f"{DATA_BASE64}: is beside {DATA}, of which there can be one", _MALFORMED)
    if encoded is not None:
        if not isinstance(encoded[0], str):
            raise NotACloudEvent(f"{DATA_BASE64}: must be a string", _MALFORMED)
        return data_of(decoded(encoded[0]), content_type)
    if data is None:
        return ""
    if not is_json(content_type) and not isinstance(data[0], str):
        raise NotACloudEvent(f"{DATA}: must be a string, since {CONTENT_TYPE} is not JSON", _MALFORMED)
    return data[1]


def _attribute(name: str, value: object) -> str:
    """CloudEvents' canonical text of a value."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() if -LARGEST_INTEGER - 1 <= value <= LARGEST_INTEGER:
            return str(value)
        case _:
            raise NotACloudEvent(f"{name[:40]!a}: must be a string, a boolean or a whole number of 32 bits")


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise NotJson("the body is not UTF-8") from None
