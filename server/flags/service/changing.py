import asyncio
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from server.flags.rules.changes import Author, Change, Outcome
from server.flags.rules.events import proposal_event
from server.flags.rules.flag_changes import SwitchOff
from server.flags.rules.proposals import ProposalDraft, without_change
from server.flags.service.answers import CHANGED, Changed
from server.flags.service.making import Making, state_of
from server.frame.repeating import once
from storage.flags.records import Proposal
from storage.flags.store import FlagsStore, FlagsTransaction
from storage.frame.records import ChangeContext


class Changing:
    """Changes of flags, segments and flag sets; where they need approval, they are proposed."""

    def __init__(
        self, store: FlagsStore, now: Callable[[], datetime], new_id: Callable[[], UUID], *, approval: bool = False
    ) -> None:
        """`approval` is whether a change needs a second pair of eyes."""
        self._store = store
        self._now = now
        self._new_id = new_id
        self._approval = approval
        self._making = Making(now, new_id)
        # Changes are made one after the other: those that wait for others here hold no connection meanwhile.
        self._turn = asyncio.Lock()

    async def change(self, change: Change, context: ChangeContext) -> Changed:
        """Makes a change or proposes it; raises why it cannot be made. Switching off needs no approval."""

        async def act(tx: FlagsTransaction) -> Changed:
            if self._approval and not isinstance(change, SwitchOff):
                return await self._proposed(tx, change, context)
            outcome = await self._making.make(tx, change, Author(context.caller_id), context)
            return Changed(outcome.shown)

        async with self._turn:
            return await once(self._store, context, CHANGED, act, None)

    async def tried(self, change: Change) -> Outcome:
        """What a change would make of its flag set by now; nothing is changed. Raises why it cannot be made."""
        async with self._store.snapshot_reading() as reading:
            state = await state_of(reading, change)
        return await self._making.decided(change, state)

    async def _proposed(self, tx: FlagsTransaction, change: Change, context: ChangeContext) -> Changed:
        state = await state_of(tx, change)
        outcome = await self._making.decided(change, state)
        draft = ProposalDraft(self._new_id(), context.caller_id, self._now())
        proposal = draft.of_change(change, state, outcome.shown)
        await propose(tx, proposal, context)
        return Changed(change.standing(state), without_change(proposal))


async def propose(tx: FlagsTransaction, proposal: Proposal, context: ChangeContext) -> None:
    """Stores a proposal with its event and audit entry."""
    await tx.proposals.add(proposal)
    await tx.events.publish([proposal_event(proposal)])
    await tx.audit.record([context.entry(f"proposal/{proposal.id}")])
