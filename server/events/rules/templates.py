"""Texts in which {/a/b} stands for what a JSON pointer finds in a webhook's body."""

import json
import re

from server.events.rules.json_text import NOT_UNICODE, found_at

_PLACE = re.compile(r"\{([^{}]*)\}")
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")


class NoText(ValueError):
    """A pointer leads to what is no text: an object, a list, or characters that Unicode does not have."""


def template_problem(template: str) -> str | None:
    """What is wrong with a template; None where it is one."""
    rest = _PLACE.sub("", template)
    if "{" in rest or "}" in rest:
        return "has a brace without its other one"
    for pointer in _PLACE.findall(template):
        if not pointer or pointer_problem(pointer):
            return f"{{{pointer}}} is no JSON pointer, such as {{/data/id}}"
    return None


def pointer_problem(pointer: str) -> str | None:
    """What is wrong with a JSON pointer (RFC 6901); None where it is one."""
    return None if _POINTER.fullmatch(pointer) else "must be a JSON pointer, such as /data/object"


def filled(template: str, body: str) -> str:
    """The template with what is in the body, which is JSON; raises NoText."""

    def text(found: re.Match[str]) -> str:
        return _text(found[1], found_at(body, found[1]))

    return _PLACE.sub(text, template)


def _text(pointer: str, written: str | None) -> str:
    if written is None or written == "null":
        return ""
    if written[0] in "{[":
        raise NoText(f"{pointer} is no text and no number")
    if written[0] != '"':
        return written
    found: str = json.loads(written)
    if NOT_UNICODE.search(found):
        raise NoText(f"{pointer} is no text of Unicode's: it has half of a pair of surrogates")
    return found
