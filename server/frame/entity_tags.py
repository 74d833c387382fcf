"""Entity tags, by which a client knows that nothing changed (RFC 9110, 8.8.3 and 13.1.2)."""

import re
from hashlib import blake2b
from typing import Any

import orjson

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def etag_of(*parts: Any) -> str:
    """A weak entity tag of JSON values, such as a context: equal for equal values in any order of names."""
    written = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    return f'W/"{blake2b(written, digest_size=16).hexdigest()}"'


def matches(if_none_match: str, etag: str) -> bool:
    """Whether a client that sends this knows what the tag is of: it is among the tags, or any will do, by `*`."""
    if if_none_match.strip() == "*":
        return True
    return etag.removeprefix("W/") in _TAG.findall(if_none_match)
