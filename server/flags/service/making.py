import asyncio
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from server.flags.rules.changes import Author, Change, Moment, Outcome, SetState, check_outcome
from server.flags.rules.events import flag_event, segment_event
from server.flags.rules.flag_changes import RollbackFlag, SwitchOff
from server.flags.rules.set_changes import ImportFlags
from storage.flags.records import FlagChange
from storage.flags.store import FlagsReading, FlagsTransaction
from storage.frame.records import ChangeContext


class Making:
    """Makes changes of flags, segments and flag sets, each within a transaction of its caller's."""

    def __init__(self, now: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self._now = now
        self._new_id = new_id

    async def make(
        self,
        tx: FlagsTransaction,
        change: Change,
        author: Author,
        context: ChangeContext,
        told_as: FlagChange | None = None,
    ) -> Outcome:
        """Makes a change; raises why it cannot be made, before anything is stored.

        `told_as` is what the versions say, where that is not what the change says of itself.
        """
        version, state = await self.begin(tx, change)
        outcome = await self.decided(change, state)
        await self.store(tx, change, state, outcome, version, author, context, told_as)
        return outcome

    async def begin(self, tx: FlagsTransaction, change: Change) -> tuple[int, SetState]:
        """The configuration version that a change will have, and its flag set, locked until the transaction ends."""
        version = await tx.configuration.advance(self._now())
        return version, await state_of(tx, change)

    async def decided(self, change: Change, state: SetState) -> Outcome:
        """What a change makes of a flag set; raises what `Change.decided` and `check_outcome` do."""
        moment = Moment(self._now(), self._new_id)

        def decide() -> Outcome:
            outcome = change.decided(state, moment)
            if not isinstance(change, SwitchOff):  # which leaves nothing that could not be evaluated
                check_outcome(state, outcome)
            return outcome

        # Thousands of flags keep the event loop from other calls.
        return await asyncio.to_thread(decide) if isinstance(change, ImportFlags) else decide()

    async def store(
        self,
        tx: FlagsTransaction,
        change: Change,
        state: SetState,
        outcome: Outcome,
        version: int,
        author: Author,
        context: ChangeContext,
        told_as: FlagChange | None = None,
    ) -> None:
        """Stores all that a change makes, with its versions, its events and its entries in the audit."""
        if state.flag_set is None and outcome.flag_set is None:
            await tx.configuration.make_set(change.flag_set_id, version, self._now())
        if outcome.flag_set is not None:
            await tx.configuration.put_set(outcome.flag_set, version)
        await tx.flags.add(outcome.new, version)
        await tx.flags.change(outcome.changed, version)
        await tx.segments.add(outcome.new_segments, version)
        await tx.segments.change(outcome.changed_segments, version)
        versions = outcome.versions(author, change.comment, version, told_as)
        segments = [*outcome.new_segments, *outcome.changed_segments]
        await tx.flags.add_versions(versions)
        await tx.segments.add_versions(segments, version, change.comment, author.changed_by, author.approved_by)
        events = [*map(flag_event, versions), *(segment_event(each, author.changed_by) for each in segments)]
        await tx.events.publish(events)
        await tx.audit.record([context.entry(each) for each in sorted({change.resource(), *outcome.resources()})])


async def state_of(reading: FlagsReading, change: Change) -> SetState:
    """What a change may look at of its flag set."""
    set_id = change.flag_set_id
    flag_set = await reading.configuration.find_set(set_id)
    if isinstance(change, SwitchOff):  # the one that is not to wait for others to be read
        flag = await reading.flags.find(set_id, change.key)
        return SetState(flag_set, {flag.key: flag} if flag else {}, {})
    flags = await reading.flags.of_set(set_id)
    then = None
    if isinstance(change, RollbackFlag) and change.key in flags:
        found = await reading.flags.find_version(flags[change.key], change.version)
        then = found.flag if found else None
    count = 0 if flag_set else await reading.configuration.count_sets()
    return SetState(flag_set, flags, await reading.segments.of_set(set_id), count, then)
