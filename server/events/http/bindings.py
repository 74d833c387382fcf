"""CloudEvents' HTTP binding: which events a request holds, in structured, batched or binary mode."""

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers

from server.events.rules import cloud_event_json
from server.events.rules.cloud_events import CONTENT_TYPE, NotACloudEvent, cloud_event, data_of, malformed
from server.events.rules.json_text import NotJson
from storage.events.records import SentEvent

STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"
_PREFIX = "ce-"
_CHARSET = re.compile(r';\s*charset="?([^";\s]+)"?', re.IGNORECASE)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class RequestUnreadable(ValueError):
    """A request in which no event can be found; the text says why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def events_of(headers: Headers, body: bytes, most: int) -> Sequence[SentEvent]:
    """The events of a request in their order, at most so many; raises RequestUnreadable."""
    content_type = headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise RequestUnreadable(415, "The body must not be compressed.")
    try:
        if media_type in (STRUCTURED, BATCHED):
            _check_charset(content_type)
            return [cloud_event_json.one(body)] if media_type == STRUCTURED else cloud_event_json.batch(body, most)
    except NotJson as error:
        raise RequestUnreadable(400, f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    if not media_type.startswith("application/cloudevents") and any(name.startswith(_PREFIX) for name in headers):
        return [_by_headers(headers, body, content_type)]
    raise RequestUnreadable(
        415, f"The content type must be {STRUCTURED} or {BATCHED}, or the attributes be in ce- headers."
    )


def _check_charset(content_type: str) -> None:
    found = _CHARSET.search(content_type)
    if found and found[1].lower() not in ("utf-8", "us-ascii"):
        raise RequestUnreadable(415, "The body must be in UTF-8.")


def _by_headers(headers: Headers, body: bytes, content_type: str) -> SentEvent:
    attributes: dict[str, str] = {}
    try:
        attributes |= _attributes(headers, content_type)
        return cloud_event(attributes, data_of(body, content_type))
    except NotACloudEvent as problem:
        return malformed(attributes, "", problem)


def _attributes(headers: Headers, content_type: str) -> dict[str, str]:
    """Raises NotACloudEvent."""
    found = {CONTENT_TYPE: content_type} if content_type else {}
    for header, value in headers.items():
        name = header.removeprefix(_PREFIX)
        if name == header:
            continue
        if name in found:
            raise NotACloudEvent(f"{header}: is there twice")
        found[name] = _decoded(header, value)
    return found


def _decoded(header: str, value: str) -> str:
    """A value as CloudEvents encodes it for a header: percent-encoded UTF-8, perhaps in quotation marks."""
    quoted = _QUOTED.fullmatch(value)
    text = _ESCAPED.sub(r"\1", quoted[1]) if quoted else value
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise NotACloudEvent(f"{header}: is not percent-encoded UTF-8") from None
