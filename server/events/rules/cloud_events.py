"""CloudEvents 1.0 as they are sent, whichever format they come in: their attributes, and their data as JSON."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from server.events.rules.json_text import NOT_UNICODE
from server.events.rules.judging import micros
from server.events.rules.malformed import Malformed
from storage.events.records import RefusalReason, SentEvent

SPEC_VERSION = "1.0"
JSON_TYPE = "application/json"
DATA, DATA_BASE64 = "data", "data_base64"
CONTENT_TYPE = "datacontenttype"
_DATA = RefusalReason.DATA_MALFORMED

_NAME = re.compile(r"[a-z0-9]+")
_MEDIA_TYPE = re.compile(r"[!-~]+/[!-~]+(?:\s*;.*)?", re.DOTALL)
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:\.(\d+))?(?:[Zz]|([+-])(\d{2}):([0-5]\d))", re.ASCII)


class NotACloudEvent(ValueError):
    """What was sent cannot be read as one; the text names the attribute, and what is wrong with it."""

    def __init__(self, text: str, reason: RefusalReason = RefusalReason.FIELD_INVALID) -> None:
        super().__init__(text)
        self.reason = reason


def cloud_event(attributes: Mapping[str, str], data: str) -> SentEvent:
    """Of attributes by their names, and data as `data_of` has it; raises NotACloudEvent.

    `dataschema` stays an attribute, and so does `datacontenttype` where it is more than JSON's.
    """
    rest = dict(attributes)
    _check_names_and_values(rest)
    version = rest.pop("specversion", "")
    if version != SPEC_VERSION:
        raise NotACloudEvent(f'specversion: must be "{SPEC_VERSION}"')
    for name in ("id", "source", "type"):
        if not rest.get(name):
            raise NotACloudEvent(f"{name}: is missing")
    content_type = rest.pop(CONTENT_TYPE, "")
    if content_type and content_type.partition(";")[0].strip().lower() != JSON_TYPE:
        rest[CONTENT_TYPE] = content_type
    time = rest.pop("time", "")
    own = (rest.pop("id"), rest.pop("source"), rest.pop("type"), rest.pop("subject", ""))
    return SentEvent(*own, micros(time_of(time)) if time else None, data, rest)


def malformed(attributes: Mapping[str, str], data: str, problem: NotACloudEvent) -> Malformed:
    """What cannot be read as an event, with what could."""
    known = [NOT_UNICODE.sub("\ufffd", attributes.get(name, "")) for name in ("id", "source", "type", "subject")]
    return Malformed.of(SentEvent(known[0], known[1], known[2], known[3], None, data, {}), problem.reason, str(problem))


def _check_names_and_values(attributes: Mapping[str, str]) -> None:
    for name, value in attributes.items():
        if not _NAME.fullmatch(name):
            raise NotACloudEvent(f"{_shown(name)}: an attribute's name has lower-case letters and digits alone")
        if _FORBIDDEN.search(value):
            raise NotACloudEvent(f"{name}: has a control character, or one that is none of Unicode's")
    if CONTENT_TYPE in attributes and not _MEDIA_TYPE.fullmatch(attributes[CONTENT_TYPE]):
        raise NotACloudEvent(f"{CONTENT_TYPE}: must be a media type, such as {JSON_TYPE}")


def time_of(text: str) -> datetime:
    """A time of RFC 3339 in UTC, to the microsecond; raises NotACloudEvent."""
    wrong = NotACloudEvent("time: must be of the form 2026-01-31T12:00:00Z", RefusalReason.TIME_INVALID)
    found = _TIME.fullmatch(text)
    if found is None:
        raise wrong
    day, clock, fraction, sign, hours, minutes = found.groups()
    offset = f"{sign}{hours}:{minutes}" if sign else "+00:00"
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{(fraction or '')[:6]:0<6}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong from None


def is_json(content_type: str) -> bool:
    """Whether data of this type is JSON, as it is where none is named."""
    kind = content_type.partition(";")[0].strip().lower()
    return not kind or kind.endswith(("/json", "+json"))


def data_of(body: bytes, content_type: str) -> str:
    """What is told of an event, as JSON: itself, a text as a string, and other bytes in base64.

    Raises NotACloudEvent where it is said to be JSON and is not.
    """
    if not body:
        return ""
    if is_json(content_type):
        return json_of(body)
    try:
        return json.dumps(body.decode(), ensure_ascii=False)
    except UnicodeDecodeError:
        return binary(base64.b64encode(body).decode())


def binary(encoded: str, **named: str) -> str:
    """Bytes that are in base64 already, as JSON, with what is named beside them."""
    return json.dumps({**named, DATA_BASE64: encoded})


def decoded(encoded: str, name: str = DATA_BASE64) -> bytes:
    """Raises NotACloudEvent."""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise NotACloudEvent(f"{name}: is not base64", _DATA) from None


def json_of(body: bytes) -> str:
    """JSON that is one, its digits as they were sent; raises NotACloudEvent."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise NotACloudEvent(f"{DATA}: is not UTF-8", _DATA) from None
    try:
        json.loads(text, parse_constant=_refuse, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise NotACloudEvent(f"{DATA}: is not JSON, which it should be by its {CONTENT_TYPE}", _DATA) from None
    return text.strip()


def _refuse(name: str) -> None:
    raise ValueError(name)


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 40 else f"{name[:40]}...")
