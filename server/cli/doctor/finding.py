from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The state of what was checked."""

    FINE = "fine"
    NOTICE = "notice"
    """There is something that may be done."""
    BROKEN = "broken"
    """There is something that must be fixed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    found: str
    state: State = State.FINE
    fix: str = ""
    """What to do about it; empty where there is nothing to do."""


def noticed(name: str, found: str, fix: str) -> Finding:
    """A notice where there is something that may be done."""
    return Finding(name, found, State.NOTICE if fix else State.FINE, fix)


def judged(name: str, found: str, fix: str) -> Finding:
    """Broken where there is something that must be fixed."""
    return Finding(name, found, State.BROKEN if fix else State.FINE, fix)
