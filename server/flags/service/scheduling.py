from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from server.flags.errors import ScheduleNotFound
from server.flags.rules import schedules as rules
from server.flags.rules.changes import Author, Shown
from server.flags.rules.events import schedule_failed
from server.flags.rules.proposals import ProposalDraft, without_change
from server.flags.rules.schedules import ScheduleDraft
from server.flags.service.answers import CHANGED, SCHEDULE, Changed
from server.flags.service.changing import propose
from server.flags.service.making import Making, state_of
from server.frame.errors import Refusal
from server.frame.repeating import once
from storage.flags.records import FlagChange, Schedule, ScheduleState
from storage.flags.store import FlagsStore, FlagsTransaction
from storage.frame.records import NOBODY, ChangeContext

TAKE_STEPS = "flags.take_steps"
"""The task that takes the steps of schedules."""

_Move = Callable[[Schedule, datetime], Schedule]


class Schedules:
    """Scheduled changes of flags."""

    def __init__(
        self, store: FlagsStore, now: Callable[[], datetime], new_id: Callable[[], UUID], *, approval: bool = False
    ) -> None:
        """`approval` is whether a schedule needs a second pair of eyes before it begins."""
        self._store = store
        self._now = now
        self._new_id = new_id
        self._approval = approval
        self._making = Making(now, new_id)

    async def create(self, draft: ScheduleDraft, context: ChangeContext) -> Changed:
        """Makes a schedule, or proposes it.

        Raises FieldInvalid where the steps are in no order, and why one of them could not be taken, as things stand.
        """

        async def act(tx: FlagsTransaction) -> Changed:
            state = ScheduleState.PROPOSED if self._approval else ScheduleState.ACTIVE
            schedule = draft.as_schedule(self._new_id(), state, context.caller_id, self._now())
            version = await self._check_steps(tx, schedule)
            await tx.schedules.add(schedule)
            await tx.audit.record([context.entry(f"schedule/{schedule.id}")])
            if not self._approval:
                return Changed(Shown(schedule=schedule))
            proposal = ProposalDraft(self._new_id(), context.caller_id, self._now()).of_schedule(schedule, version)
            await propose(tx, proposal, context)
            return Changed(Shown(schedule=schedule), without_change(proposal))

        return await once(self._store, context, CHANGED, act, None)

    async def get(self, schedule_id: UUID) -> Schedule:
        """Raises ScheduleNotFound."""
        async with self._store.reading() as reading:
            return _known(await reading.schedules.find(schedule_id), schedule_id)

    async def list_latest(
        self,
        flag_set_id: str,
        *,
        flag_key: str,
        state: ScheduleState | None,
        before: tuple[datetime, UUID] | None,
        limit: int,
    ) -> Sequence[Schedule]:
        """Schedules of a flag set, latest first; of one flag where named."""
        async with self._store.reading() as reading:
            return await reading.schedules.list_latest(
                flag_set_id, flag_key=flag_key, state=state, before=before, limit=limit
            )

    async def pause(self, schedule_id: UUID, context: ChangeContext) -> Schedule:
        """Raises ScheduleNotFound, ScheduleStateForbids."""
        return await self._move(schedule_id, rules.paused, context)

    async def resume(self, schedule_id: UUID, context: ChangeContext) -> Schedule:
        """Raises ScheduleNotFound, ScheduleStateForbids."""
        return await self._move(schedule_id, rules.resumed, context)

    async def cancel(self, schedule_id: UUID, context: ChangeContext) -> Schedule:
        """Raises ScheduleNotFound, ScheduleStateForbids."""
        return await self._move(schedule_id, rules.canceled, context)

    async def take_steps(self) -> int:
        """Takes all steps that are due, each in a transaction of its own, and returns how many schedules those were of.

        A schedule whose step is refused is failed, and says why.
        """
        taken = 0
        while await self._take_one():
            taken += 1
        return taken

    async def _take_one(self) -> bool:
        now = self._now()
        async with self._store.transaction() as tx:
            schedule = await tx.schedules.lock_due(now)
            step = rules.due_step(schedule, now) if schedule else None
            if schedule is None or step is None:
                return False
            after = await self._taken(tx, schedule, step)
            await tx.schedules.change(after)
            if after.state is ScheduleState.FAILED:
                await tx.events.publish([schedule_failed(after)])
        return True

    async def _taken(self, tx: FlagsTransaction, schedule: Schedule, step: int) -> Schedule:
        context = ChangeContext(NOBODY, TAKE_STEPS, self._now())
        await tx.audit.record([context.entry(f"schedule/{schedule.id}")])
        change, author = rules.change_of(schedule, step), Author(schedule.created_by)
        try:
            await self._making.make(tx, change, author, context, FlagChange.SCHEDULED)
        except Refusal as refusal:  # which comes before anything of the flag was stored
            return rules.failed(schedule, refusal.message(), self._now())
        return rules.taken(schedule, step, self._now())

    async def _check_steps(self, tx: FlagsTransaction, schedule: Schedule) -> int:
        """Raises why a step could not be taken after those before it; returns the flag's version."""
        state = await state_of(tx, rules.change_of(schedule, 0))
        flag = state.flags.get(schedule.flag_key)
        for step in range(len(schedule.steps)):
            outcome = await self._making.decided(rules.change_of(schedule, step), state)
            state = state.after(outcome)
        return flag.version if flag else 0

    async def _move(self, schedule_id: UUID, move: _Move, context: ChangeContext) -> Schedule:
        async def act(tx: FlagsTransaction) -> Schedule:
            schedule = move(_known(await tx.schedules.lock(schedule_id), schedule_id), self._now())
            await tx.schedules.change(schedule)
            return schedule

        return await once(self._store, context, SCHEDULE, act, f"schedule/{schedule_id}")


def _known(schedule: Schedule | None, schedule_id: UUID) -> Schedule:
    if schedule is None:
        raise ScheduleNotFound(schedule_id=str(schedule_id))
    return schedule
