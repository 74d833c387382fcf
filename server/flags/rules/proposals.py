"""What is kept of a change that needs two pairs of eyes, and who decides on it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import orjson
from pydantic import Field, TypeAdapter

from server.flags.errors import OwnProposal, ProposalDecided, ProposalNotFound
from server.flags.rules.changes import Change, SetState, Shown, flag_resource
from server.flags.rules.flag_changes import ArchiveFlag, CreateFlag, EditFlag, RollbackFlag, RollOut
from server.flags.rules.set_changes import CreateSegment, DeleteSegment, EditSegment, EditSet, ImportFlags
from storage.flags.records import Proposal, ProposalState, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginSchedule:
    """Has a schedule that was proposed take its steps."""

    schedule_id: UUID
    call: Literal["ScheduleFlagChange"] = "ScheduleFlagChange"


_OfFlag: TypeAlias = CreateFlag | EditFlag | ArchiveFlag | RollbackFlag | RollOut
_OfSet: TypeAlias = EditSet | CreateSegment | EditSegment | DeleteSegment | ImportFlags
_Proposed: TypeAlias = Annotated[_OfFlag | _OfSet | BeginSchedule, Field(discriminator="call")]
_PROPOSED: TypeAdapter[Any] = TypeAdapter(_Proposed)
_SHOWN = TypeAdapter(Shown)


@dataclass(frozen=True, slots=True)
class ProposalDraft:
    """A proposal that somebody makes."""

    id: UUID
    by: UUID
    time: datetime

    def of_change(self, change: Change, state: SetState, shown: Shown) -> Proposal:
        """To make a change, with what it would leave."""
        bases = change.bases(state)
        version = bases[change.resource()]
        content = _content(change, _digest(bases), shown)
        return self._proposal(change.flag_set_id, change.call, change.resource(), version, content, change.comment)

    def of_schedule(self, schedule: Schedule, flag_version: int) -> Proposal:
        """To let a schedule of a flag begin."""
        subject = flag_resource(schedule.flag_set_id, schedule.flag_key)
        change = BeginSchedule(schedule_id=schedule.id)
        content = _content(change, _digest({subject: flag_version}), Shown(schedule=schedule))
        return self._proposal(schedule.flag_set_id, change.call, subject, flag_version, content, schedule.comment)

    def _proposal(
        self, set_id: str, call: str, subject: str, version: int, content: Mapping[str, Any], comment: str
    ) -> Proposal:
        pending = ProposalState.PENDING
        return Proposal(
            self.id, set_id, call, subject, version, content, comment, pending, self.by, None, "", self.time, None
        )


def proposed_change(proposal: Proposal) -> Any:
    """The change that waits: a `Change`, or a BeginSchedule."""
    return _PROPOSED.validate_python(proposal.content["change"])


def shown_of(proposal: Proposal) -> Shown:
    """What would be, once it is approved."""
    return _SHOWN.validate_json(orjson.dumps(proposal.content["shown"]))


def without_change(proposal: Proposal) -> Proposal:
    """The proposal without the change itself, which may be an import of megabytes."""
    return replace(proposal, content={"shown": proposal.content["shown"]})


def is_outdated(proposal: Proposal, bases: Mapping[str, int]) -> bool:
    """Whether what the proposal is about has other versions by now."""
    return bool(proposal.content["base"] != _digest(bases))


def decided(proposal: Proposal, state: ProposalState, by: UUID, comment: str, now: datetime) -> Proposal:
    """The proposal as somebody else decided on it; raises OwnProposal, ProposalDecided."""
    if by == proposal.proposed_by:
        raise OwnProposal
    return _ended(proposal, state, by, comment, now)


def withdrawn(proposal: Proposal, by: UUID, now: datetime) -> Proposal:
    """The proposal as taken back; raises ProposalNotFound where it is another's, and ProposalDecided."""
    if by != proposal.proposed_by:
        raise ProposalNotFound(proposal_id=str(proposal.id))
    return _ended(proposal, ProposalState.WITHDRAWN, by, "", now)


def outdated(proposal: Proposal, by: UUID, now: datetime) -> Proposal:
    """The proposal, outdated: its subject has changed since it was proposed."""
    return _ended(proposal, ProposalState.OUTDATED, by, "", now)


def _content(change: Any, base: str, shown: Shown) -> Mapping[str, Any]:
    return {
        "change": _PROPOSED.dump_python(change, mode="json"),
        "base": base,
        "shown": _SHOWN.dump_python(shown, mode="json"),
    }


def _digest(bases: Mapping[str, int]) -> str:
    return hashlib.blake2b(orjson.dumps(bases, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def _ended(proposal: Proposal, state: ProposalState, by: UUID, comment: str, now: datetime) -> Proposal:
    if proposal.state is not ProposalState.PENDING:
        raise ProposalDecided(state=proposal.state)
    return replace(proposal, state=state, decided_by=by, decision_comment=comment, decide_time=now)
