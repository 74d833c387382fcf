"""JSON as text: its parts as they were written, with all their digits."""

import json
import re
from collections.abc import Iterator

Member = tuple[str, object, str]
"""A name, its value, and the value's own text."""

LARGEST_INTEGER = 2**31 - 1
"""Of CloudEvents; a number of too many digits for that counts as just too large, whatever it is."""
NOT_UNICODE = re.compile("[\ud800-\udfff]")
"""Halves of pairs, which JSON can escape one by one, and which no UTF-8 has: what holds one cannot be stored."""
_DIGITS = 20
_SPACE = re.compile(r"[ \t\n\r]*")


class NotJson(ValueError):
    """A text is no JSON, or not of the form that it should have; the text says which."""


def _constant(name: str) -> None:
    raise ValueError(name)


def _whole(digits: str) -> int:
    return int(digits) if len(digits) < _DIGITS else LARGEST_INTEGER + 1


_DECODER = json.JSONDecoder(parse_constant=_constant, parse_int=_whole)


def read(text: str, start: int) -> tuple[object, int]:
    """The value that begins there, and where it ends; raises NotJson."""
    try:
        found: tuple[object, int] = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        raise NotJson("the body is not JSON") from None
    return found


def after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def members(text: str, start: int) -> Iterator[Member]:
    """The members of the object that begins there, which is known to be well-formed."""
    at = after_space(text, start + 1)
    while text[at] != "}":
        name, end = _DECODER.raw_decode(text, at)
        at = after_space(text, after_space(text, end) + 1)
        value, end = _DECODER.raw_decode(text, at)
        yield name, value, text[at:end]
        at = after_space(text, end)
        if text[at] == ",":
            at = after_space(text, at + 1)


def elements(text: str, start: int) -> Iterator[tuple[int, object]]:
    """Where each element of the one array of a text begins, and what it is; raises NotJson where it is none."""
    at = _after(text, start, "[", "the body must be a JSON array")
    if text[at : at + 1] == "]":
        at += 1
    else:
        while True:
            value, end = read(text, at)
            yield at, value
            at = after_space(text, end)
            if text[at : at + 1] == "]":
                at += 1
                break
            at = _after(text, at, ",", "the body is not JSON")
    if after_space(text, at) != len(text):
        raise NotJson("the body goes on behind its JSON")


def found_at(text: str, pointer: str) -> str | None:
    """The text of what a JSON pointer (RFC 6901) leads to; None where there is nothing. Raises NotJson."""
    start = after_space(text, 0)
    _, end = read(text, start)
    if after_space(text, end) != len(text):
        raise NotJson("the body goes on behind its JSON")
    found: str | None = text[start:end]
    for name in pointer.split("/")[1:]:
        if found is None:
            return None
        found = _within(found, name.replace("~1", "/").replace("~0", "~"))
    return found


def _within(text: str, name: str) -> str | None:
    if text[0] == "{":
        # Of a name that is there twice the last one counts, as with most readers.
        return {each: written for each, _, written in members(text, 0)}.get(name)
    if text[0] == "[" and name.isascii() and name.isdecimal() and (name == "0" or name[0] != "0"):
        for place, (start, _) in enumerate(elements(text, 0)):
            if place == int(name):
                return text[start : read(text, start)[1]]
    return None


def _after(text: str, at: int, mark: str, otherwise: str) -> int:
    if text[at : at + 1] != mark:
        raise NotJson(otherwise)
    return after_space(text, at + 1)
