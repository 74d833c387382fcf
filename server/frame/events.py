"""The types of event that others may learn of, and who may."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event that a module adds to the log."""

    description: str
    """When such an event comes about."""
    permissions: tuple[str, ...]
    """The permissions to read its subject, whoever owns it: who lacks one of them does not get the event."""
