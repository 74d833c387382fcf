"""How PostgreSQL's programs are started, by their own arguments, without a shell; and how they fail."""

import os
from collections.abc import Mapping

_POSTGRES_PREFIXES = ("PG", "LC_", "LANG")


class NotInstalled(Exception):
    """The package with the embedded PostgreSQL is not installed."""


class EmbeddedPostgresFailed(Exception):
    """The embedded PostgreSQL cannot be made, started or stopped; the text, one line, says why and the fix."""


def environment() -> Mapping[str, str]:
    """Without what would set a port, an option or a language that the settings here do not name."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_POSTGRES_PREFIXES)}


def complaint(text: str) -> str:
    """Why a program ended, by the first line that is an error, or its last one where none is."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if any(mark in line for mark in ("FATAL:", "PANIC:", "error:", "ERROR:"))]
    line = errors[0] if errors else lines[-1] if lines else "it says nothing"
    for mark in ("FATAL:", "PANIC:", "error:", "ERROR:"):
        line = line.rpartition(mark)[2].strip() if mark in line else line
    return line
