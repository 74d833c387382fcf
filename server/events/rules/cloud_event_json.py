"""CloudEvents in JSON, `application/cloudevents+json` and `-batch+json`, with the digits of their data as sent."""

import json
import re
from collections.abc import Iterator, Sequence

from server.events.rules.cloud_events import (
    CONTENT_TYPE,
    DATA,
    DATA_BASE64,
    CloudEvent,
    NotACloudEvent,
    cloud_event,
    data_of,
    decoded,
    is_json,
)

Member = tuple[str, object, str]
"""A name, its value, and the value's own text."""

_SPACE = re.compile(r"[ \t\n\r]*")
_INTEGER = 2**31
_DIGITS = 20


class NotJson(ValueError):
    """A body is no JSON, or not of the form that its content type names; the text says which."""


def _constant(name: str) -> None:
    raise ValueError(name)


def _whole(digits: str) -> int:
    """A whole number; one of too many digits to be an attribute counts as just too large, whatever it is."""
    return int(digits) if len(digits) < _DIGITS else _INTEGER


_DECODER = json.JSONDecoder(parse_constant=_constant, parse_int=_whole)


def one(body: bytes) -> CloudEvent | NotACloudEvent:
    """The one event of a body; raises NotJson."""
    text = _text(body)
    start = _after_space(text, 0)
    found, end = _read(text, start)
    if _after_space(text, end) != len(text):
        raise NotJson("the body goes on behind its JSON")
    if not isinstance(found, dict):
        raise NotJson("the body must be a JSON object, one event")
    return _event(text, start)


def batch(body: bytes, most: int) -> Sequence[CloudEvent | NotACloudEvent]:
    """The events of a body, in their order; raises NotJson, also where there are more than `most`."""
    text = _text(body)
    found: list[CloudEvent | NotACloudEvent] = []
    for start, value in _elements(text):
        if len(found) == most:
            raise NotJson(f"a batch has at most {most:,} events")
        is_object = isinstance(value, dict)
        found.append(_event(text, start) if is_object else NotACloudEvent("an event must be a JSON object"))
    return found


def _event(text: str, start: int) -> CloudEvent | NotACloudEvent:
    try:
        return _of_members(list(_members(text, start)))
    except NotACloudEvent as error:
        return error


def _of_members(members: Sequence[Member]) -> CloudEvent:
    """Raises NotACloudEvent."""
    names = [name for name, _, _ in members]
    if len(set(names)) != len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise NotACloudEvent(f"{twice[:40]!a}: is there twice")
    values = {name: (value, text) for name, value, text in members if value is not None}
    data, encoded = values.pop(DATA, None), values.pop(DATA_BASE64, None)
    attributes = {name: _attribute(name, value) for name, (value, _) in values.items()}
    return cloud_event(attributes, _data(data, encoded, attributes.get(CONTENT_TYPE, "")))


def _data(data: tuple[object, str] | None, encoded: tuple[object, str] | None, content_type: str) -> str:
    if data is not None and encoded is not None:
        raise NotACloudEvent(f"{DATA_BASE64}: is beside {DATA}, of which there can be one")
    if encoded is not None:
        if not isinstance(encoded[0], str):
            raise NotACloudEvent(f"{DATA_BASE64}: must be a string")
        return data_of(decoded(encoded[0]), content_type)
    if data is None:
        return ""
    if not is_json(content_type) and not isinstance(data[0], str):
        raise NotACloudEvent(f"{DATA}: must be a string, since {CONTENT_TYPE} is not JSON")
    return data[1]


def _attribute(name: str, value: object) -> str:
    """CloudEvents' canonical text of a value."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() if -_INTEGER <= value < _INTEGER:
            return str(value)
        case _:
            raise NotACloudEvent(f"{name[:40]!a}: must be a string, a boolean or a whole number of 32 bits")


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise NotJson("the body is not UTF-8") from None


def _elements(text: str) -> Iterator[tuple[int, object]]:
    """Where each element of the text's one array begins, and what it is."""
    at = _after(text, _after_space(text, 0), "[", "the body must be a JSON array of events")
    if text[at : at + 1] == "]":
        at += 1
    else:
        while True:
            value, end = _read(text, at)
            yield at, value
            at = _after_space(text, end)
            if text[at : at + 1] == "]":
                at += 1
                break
            at = _after(text, at, ",", "the body is not JSON")
    if _after_space(text, at) != len(text):
        raise NotJson("the body goes on behind its JSON")


def _members(text: str, start: int) -> Iterator[Member]:
    """The members of an object that is known to be well-formed."""
    at = _after_space(text, start + 1)
    while text[at] != "}":
        name, end = _DECODER.raw_decode(text, at)
        at = _after_space(text, _after_space(text, end) + 1)
        value, end = _DECODER.raw_decode(text, at)
        yield name, value, text[at:end]
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)


def _read(text: str, start: int) -> tuple[object, int]:
    try:
        found: tuple[object, int] = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        raise NotJson("the body is not JSON") from None
    return found


def _after(text: str, at: int, mark: str, otherwise: str) -> int:
    if text[at : at + 1] != mark:
        raise NotJson(otherwise)
    return _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
