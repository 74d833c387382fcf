"""Settings out of the environment and a `.env` file, and everything that is wrong with them, in plain words."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from server.frame.settings import DeclaredSettings, declared

_PREFIX = "BACKROOM_"
_OF_TESTS = "BACKROOM_TEST_"
"""What the tests alone read."""
_ENCODING = "utf-8-sig"
"""Of `.env`: some editors begin a file in UTF-8 with a mark that says so."""
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?|https?://\[[0-9a-f:]+\](?::[0-9]{1,5})?")
"""As browsers write it (RFC 6454, 6.2)."""


class SettingsError(Exception):
    """The environment has a setting that is unknown or malformed; the text names it."""


def environment() -> Mapping[str, str]:
    """What is set, by the names; where the environment is silent, a `.env` in the working directory counts.

    Raises SettingsError where that is no text.
    """
    kept = _dotenv()
    return {name: os.environ.get(name) or kept.get(name) or "" for name in {*kept, *os.environ}}


def names(kinds: Iterable[type[DeclaredSettings]]) -> frozenset[str]:
    """The settings' names in the environment."""
    return frozenset(each.name for kind in kinds for each in declared(kind))


def parsed(kinds: Sequence[type[DeclaredSettings]], given: Mapping[str, str]) -> Sequence[DeclaredSettings]:
    """The settings of each class; what is set to nothing counts as not set.

    Raises SettingsError with a line for each setting that is unknown or malformed.
    """
    problems = list(_mistyped(given, names(kinds)))
    values = {name: value for name, value in given.items() if value}
    found: list[DeclaredSettings] = []
    for kind in kinds:
        try:
            found.append(kind.model_validate(values))
        except ValidationError as error:
            problems += map(_problem, error.errors())
    if problems:
        raise SettingsError("\n".join(problems))
    return found


def listed(text: str) -> tuple[str, ...]:
    """The values between commas, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def read_origins(value: object) -> object:
    """A setting's origins, exactly as browsers write them, with commas between; raises ValueError."""
    if not isinstance(value, str):
        return value
    origins = listed(value)
    if not all(map(_ORIGIN.fullmatch, origins)):
        raise ValueError("must be origins such as https://shop.example.com, with commas between")
    return origins


def did_you_mean(typed: str, choices: Iterable[str]) -> str:
    """ "; did you mean ...?" with what is nearest to what was typed; empty where nothing is near."""
    folded = {each.casefold(): each for each in choices}
    prefixed = [each for each in folded if typed and each.startswith(typed.casefold())]
    found = prefixed if len(prefixed) == 1 else get_close_matches(typed.casefold(), folded, n=1)
    return f"; did you mean {folded[found[0]]}?" if found else ""


def _mistyped(given: Collection[str], known: Collection[str]) -> Iterator[str]:
    """The names that are no settings, and were surely meant as such."""
    for name in sorted(given):
        if name in known or name.startswith(_OF_TESTS):
            continue
        capitals = name.upper()
        if capitals in known:
            yield f"{name}: settings are written in capitals: {capitals}"
        elif capitals.startswith(_PREFIX):
            # Without what they all begin with, which alone would make any two of them near.
            ends = [each.removeprefix(_PREFIX) for each in known if each.startswith(_PREFIX)]
            near = did_you_mean(capitals.removeprefix(_PREFIX), ends).replace("mean ", f"mean {_PREFIX}")
            yield f"{name}: there is no such setting{near or '; README.md and .env.example list them'}"
        elif "DATABASE_URL" not in given and _slipped(capitals, "DATABASE_URL"):
            # With it unread, the embedded database would be served in silence.
            yield f"{name}: there is no such setting; did you mean DATABASE_URL?"


def _slipped(typed: str, meant: str) -> bool:
    """Whether one letter was left out or typed twice, or two were swapped: what is never another program's name."""
    places = range(len(meant))
    slips = {meant[:at] + meant[at + 1 :] for at in places}
    slips |= {meant[:at] + meant[at] + meant[at:] for at in places}
    slips |= {meant[:at] + meant[at : at + 2][::-1] + meant[at + 2 :] for at in places}
    return typed in slips


def _problem(error: ErrorDetails) -> str:
    name, given, context = str(error["loc"][0]), str(error["input"]), error.get("ctx", {})
    if error["type"] == "literal_error":
        choices = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        return f"{name}: must be {_either(choices)}{did_you_mean(given, choices)}"
    if plain := _PLAIN.get(error["type"]):
        return f"{name}: must be {plain.format(**context)}"
    return f"{name}: {error['msg'].removeprefix('Value error, ')}"


_PLAIN = {
    "string_too_short": "at least {min_length} characters",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "bool_parsing": "true or false",
    "greater_than": "more than {gt:,.15g}",
    "greater_than_equal": "at least {ge:,.15g}",
    "less_than_equal": "at most {le:,.15g}",
}
"""What pydantic says of its kinds of error, in fewer words."""


def _either(choices: Sequence[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def _dotenv() -> Mapping[str, str | None]:
    """Raises SettingsError."""
    from dotenv import dotenv_values

    path = Path(".env")
    try:
        is_text = not path.is_file() or "\0" not in path.read_text(_ENCODING)
    except UnicodeDecodeError:
        is_text = False
    except OSError as error:
        raise SettingsError(f".env: {error.strerror}; let this user read it, or remove it") from None
    if not is_text:
        raise SettingsError(".env: is not written in UTF-8, as Windows's UTF-16 or Latin-1 are not; save it as UTF-8")
    return dotenv_values(path, encoding=_ENCODING)
