"""By what a client knows that nothing changed (RFC 9110, 8.8.3 and 13.1.2)."""

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

from server.flags.rules.evaluating import View

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def etag_of(*parts: Any) -> str:
    """A weak entity tag of JSON values, such as a context: equal for equal ones, in whatever order their names came."""
    written = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    return f'W/"{blake2b(written, digest_size=16).hexdigest()}"'


def matches(if_none_match: str, etag: str) -> bool:
    """Whether a client that sends this knows what the tag is of: it is among the tags, or any will do, by `*`."""
    if if_none_match.strip() == "*":
        return True
    return etag.removeprefix("W/") in _TAG.findall(if_none_match)


def reads_time(view: View) -> bool:
    """Whether any flag may be answered otherwise though neither the context nor the configuration changes."""
    return any(compiled.rule is not None and _reads_time(compiled.rule) for compiled in view.flags.values())


def _reads_time(rule: Any) -> bool:
    if isinstance(rule, Mapping):
        # The time stands beside the flag's key: whoever reads all there is, or by a name made up later, may read it.
        return any(_may_be_time(given) if name == "var" else _reads_time(given) for name, given in rule.items())
    return isinstance(rule, list) and any(map(_reads_time, rule))


def _may_be_time(given: Any) -> bool:
    name = given[0] if isinstance(given, list) and given else given
    if isinstance(given, list) and any(map(_reads_time, given[1:])):
        return True
    if isinstance(name, int | float) and not isinstance(name, bool):
        return False
    return not isinstance(name, str) or not name or name == "$flagd" or name.startswith("$flagd.timestamp")
