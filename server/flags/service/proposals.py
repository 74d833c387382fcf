from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from server.flags.errors import ProposalNotFound, ProposalOutdated
from server.flags.rules import proposals as rules
from server.flags.rules import schedules
from server.flags.rules.changes import Author, Change, flag_resource, version_of
from server.flags.rules.events import proposal_event
from server.flags.rules.proposals import BeginSchedule
from server.flags.service.answers import PROPOSAL
from server.flags.service.making import Making
from server.frame.repeating import once
from storage.flags.records import Proposal, ProposalState, ScheduleState
from storage.flags.store import FlagsStore, FlagsTransaction
from storage.frame.records import ChangeContext


class Proposals:
    """Changes that wait for a second pair of eyes."""

    def __init__(self, store: FlagsStore, now: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self._store = store
        self._now = now
        self._making = Making(now, new_id)

    async def get(self, proposal_id: UUID) -> Proposal:
        """Raises ProposalNotFound."""
        async with self._store.reading() as reading:
            return _known(await reading.proposals.find(proposal_id), proposal_id)

    async def list_latest(
        self, *, state: ProposalState | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Proposal]:
        """Proposals without the changes themselves, latest first."""
        async with self._store.reading() as reading:
            return await reading.proposals.list_latest(state=state, before=before, limit=limit)

    async def approve(self, proposal_id: UUID, comment: str, context: ChangeContext) -> Proposal:
        """Approves a proposal and makes its change, in one transaction.

        Raises ProposalNotFound, OwnProposal, ProposalDecided, why the change cannot be made by now, and
        ProposalOutdated where what it is about has changed since, which is then the proposal's state.
        """

        async def act(tx: FlagsTransaction) -> Proposal:
            proposal = _known(await tx.proposals.lock(proposal_id), proposal_id)
            approved = rules.decided(proposal, ProposalState.APPROVED, context.caller_id, comment, self._now())
            change = rules.proposed_change(proposal)
            done = (
                await self._begin(tx, proposal, change)
                if isinstance(change, BeginSchedule)
                else await self._make(tx, proposal, change, context)
            )
            decision = approved if done else rules.outdated(proposal, context.caller_id, self._now())
            return await self._decide(tx, decision, context)

        decided = await once(self._store, context, PROPOSAL, act, None)
        if decided.state is ProposalState.OUTDATED:
            raise ProposalOutdated
        return decided

    async def reject(self, proposal_id: UUID, comment: str, context: ChangeContext) -> Proposal:
        """Raises ProposalNotFound, OwnProposal, ProposalDecided."""

        async def act(tx: FlagsTransaction) -> Proposal:
            proposal = _known(await tx.proposals.lock(proposal_id), proposal_id)
            rejected = rules.decided(proposal, ProposalState.REJECTED, context.caller_id, comment, self._now())
            return await self._decide(tx, rejected, context)

        return await once(self._store, context, PROPOSAL, act, None)

    async def withdraw(self, proposal_id: UUID, context: ChangeContext) -> Proposal:
        """Takes back a proposal of the caller's own; raises ProposalNotFound, ProposalDecided."""

        async def act(tx: FlagsTransaction) -> Proposal:
            proposal = _known(await tx.proposals.lock(proposal_id), proposal_id)
            return await self._decide(tx, rules.withdrawn(proposal, context.caller_id, self._now()), context)

        return await once(self._store, context, PROPOSAL, act, None)

    async def _make(self, tx: FlagsTransaction, proposal: Proposal, change: Change, context: ChangeContext) -> bool:
        """Whether what the proposal is about is as it was; only then the change is made."""
        version, state = await self._making.begin(tx, change)
        if rules.is_outdated(proposal, change.bases(state)):
            return False
        outcome = await self._making.decided(change, state)
        author = Author(proposal.proposed_by, context.caller_id)
        await self._making.store(tx, change, state, outcome, version, author, context)
        return True

    async def _begin(self, tx: FlagsTransaction, proposal: Proposal, change: BeginSchedule) -> bool:
        """The same of a schedule, which begins."""
        schedule = await tx.schedules.lock(change.schedule_id)
        if schedule is None or schedule.state is not ScheduleState.PROPOSED:
            return False
        flag = await tx.flags.find(schedule.flag_set_id, schedule.flag_key)
        if rules.is_outdated(proposal, {flag_resource(schedule.flag_set_id, schedule.flag_key): version_of(flag)}):
            return False
        await tx.schedules.change(schedules.begun(schedule, self._now()))
        return True

    async def _decide(self, tx: FlagsTransaction, decided: Proposal, context: ChangeContext) -> Proposal:
        await tx.proposals.decide(decided)
        if decided.state is not ProposalState.APPROVED:
            await self._end_schedule(tx, decided)
        await tx.events.publish([proposal_event(decided)])
        await tx.audit.record([context.entry(f"proposal/{decided.id}")])
        return rules.without_change(decided)

    async def _end_schedule(self, tx: FlagsTransaction, decided: Proposal) -> None:
        """A schedule whose proposal came to nothing never begins."""
        change = rules.proposed_change(decided)
        if isinstance(change, BeginSchedule):
            schedule = await tx.schedules.lock(change.schedule_id)
            if schedule is not None and schedule.state is ScheduleState.PROPOSED:
                await tx.schedules.change(schedules.canceled(schedule, self._now()))


def _known(proposal: Proposal | None, proposal_id: UUID) -> Proposal:
    if proposal is None:
        raise ProposalNotFound(proposal_id=str(proposal_id))
    return proposal
