"""Entity tags, by which a client knows that nothing changed (RFC 9110, 8.8.3 and 13.1.2)."""

import re
from hashlib import blake2b
from typing import Any

import orjson

from server.flags.rules.evaluating import View

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')

_READS_TIME = re.compile(rb'\$flagd(?!\.flagKey)|"var":\[?(?:""|[^"0-9-])')


def etag_of(*parts: Any) -> str:
    """A weak entity tag of JSON values, such as a context: equal for equal values in any order of names."""
    written = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    return f'W/"{blake2b(written, digest_size=16).hexdigest()}"'


def matches(if_none_match: str, etag: str) -> bool:
    """Whether a client that sends this knows what the tag is of: it is among the tags, or any will do, by `*`."""
    if if_none_match.strip() == "*":
        return True
    return etag.removeprefix("W/") in _TAG.findall(if_none_match)


def reads_time(view: View) -> bool:
    """Whether any flag may be answered otherwise though neither the context nor the configuration changes.

    True also for some that are not: the time stands beside the flag's key, and what reads all that there is, or by a
    name that is worked out, may read it. Told by the rules' text, since to walk through them takes long.
    """
    rules = (compiled.rule for compiled in view.flags.values() if compiled.rule is not None)
    return any(_READS_TIME.search(orjson.dumps(rule)) for rule in rules)
