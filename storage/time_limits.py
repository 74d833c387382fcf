"""How long we let the database keep us waiting; what PostgreSQL itself enforces is in `storage.limits`."""

from dataclasses import dataclass

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 5.0
"""Longer than an honest commit takes on a busy machine with a slow disk, and shorter than most callers wait."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """In seconds."""

    connect: float = CONNECT_SECONDS
    """For one host to let us in; the URL's own connect_timeout counts first."""
    answer: float = ANSWER_SECONDS
    """For a commit to be confirmed, and for a batch as a whole; then whoever waits learns that the outcome is
    unknown."""
