"""Which media type a content has, told from its first bytes and never from a name."""

import re

import puremagic

HEAD_BYTES = 4096
"""How much of a content tells its type."""
UNKNOWN = "application/octet-stream"
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<", re.DOTALL)
_SVG = re.compile(rb"<(?:[a-z]+:)?svg[\s>/]", re.IGNORECASE)
_HTML = re.compile(
    rb"<(?:!doctype\s+html|html|head|title|body|script|iframe|style|table|div|img|a|b|p|br|h1|font)[\s>/]",
    re.IGNORECASE,
)
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml\s", re.IGNORECASE)
_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]{1,100}")
_SHORTEST_SIGN_BYTES = 3
"""A shorter one stands at the start of too many files that are of another type."""
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def content_type(head: bytes) -> str:
    """The type of a content that begins with this; UNKNOWN where it cannot be told."""
    if not head:
        return UNKNOWN
    if head.startswith(b"PK\x03\x04"):
        return "application/zip"
    return _markup(head) or _by_sign(head) or _text(head)


def _markup(head: bytes) -> str:
    """HTML, SVG or XML, as a browser would take it for one; empty where it is none."""
    if not _MARKUP.match(head):
        return ""
    if _SVG.search(head):
        return "image/svg+xml"
    if _XML.match(head):
        return "application/xml"
    return "text/html" if _HTML.search(head) else ""


def _by_sign(head: bytes) -> str:
    """By the most telling sign that puremagic knows of; empty where there is none."""
    try:
        found = puremagic.magic_string(head)
    except puremagic.PureError:
        return ""
    for each in found:
        if len(each.byte_match) >= _SHORTEST_SIGN_BYTES and _TYPE.fullmatch(each.mime_type):
            return str(each.mime_type)
    return ""


def _text(head: bytes) -> str:
    if _CONTROL.search(head):
        return UNKNOWN
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # A character may be cut where the head ends.
        if error.start < len(head) - 3:
            return UNKNOWN
    return "text/plain"
