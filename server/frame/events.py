"""What others may be told of, and who may be told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event that a module adds to the log."""

    description: str
    """When such an event comes about."""
    permissions: tuple[str, ...]
    """What reading its subject, whoever's it is, asks for: who lacks one of them is not told of it."""
