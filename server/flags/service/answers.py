"""The answers of flags that are kept for repeated requests."""

from dataclasses import dataclass

from server.flags.rules.changes import Shown
from server.frame.answers import AnswerKind
from storage.flags.records import Proposal, Schedule


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change is about, in its state after the change."""

    shown: Shown
    proposal: Proposal | None = None
    """Where it waits for approval; without the change itself."""


CHANGED = AnswerKind("flags.changed", Changed)
PROPOSAL = AnswerKind("flags.proposal", Proposal)
SCHEDULE = AnswerKind("flags.schedule", Schedule)
