"""When the steps of a schedule are taken, and who may stop it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from server.flags.errors import ScheduleStateForbids
from server.flags.rules.flag_changes import EditFlag, RollOut
from server.frame.errors import FieldInvalid
from storage.flags.records import Schedule, ScheduleState

_ENDED = frozenset({ScheduleState.DONE, ScheduleState.CANCELED})


@dataclass(frozen=True, slots=True)
class ScheduleDraft:
    """A schedule as a caller describes it."""

    flag_set_id: str
    flag_key: str
    steps: Sequence[Mapping[str, Any]]
    """Each with its time, and either the values of an `edit` or a `rollout` of shares, seed and bucket_by."""
    comment: str

    def as_schedule(self, schedule_id: UUID, state: ScheduleState, by: UUID, now: datetime) -> Schedule:
        """Raises FieldInvalid where a step is not later than the one before."""
        times = [datetime.fromisoformat(each["time"]) for each in self.steps]
        for place in range(1, len(times)):
            if times[place] <= times[place - 1]:
                raise FieldInvalid.of(f"schedule.steps[{place}].time", "must be later than that of the step before")
        return Schedule(
            schedule_id,
            self.flag_set_id,
            self.flag_key,
            self.steps,
            (),
            times[0],
            state,
            "",
            self.comment,
            by,
            now,
            now,
        )


def change_of(schedule: Schedule, step: int) -> EditFlag | RollOut:
    """What a step does, with the schedule's comment; an etag of its own it has not."""
    given = schedule.steps[step]
    common: dict[str, Any] = {
        "flag_set_id": schedule.flag_set_id,
        "key": schedule.flag_key,
        "comment": schedule.comment,
    }
    if "edit" in given:
        return EditFlag(**common, values=given["edit"])
    return RollOut(**common, **given["rollout"])


def time_of(schedule: Schedule, step: int) -> datetime:
    """From when on a step is to be taken."""
    return datetime.fromisoformat(schedule.steps[step]["time"])


def due_step(schedule: Schedule, now: datetime) -> int | None:
    """Which step to take now; None for none.

    Of several whose time has passed, as after a pause or while no server ran, the last alone: each step says where the
    flag is to be from then on, so that those between would only be passed through.
    """
    if schedule.state is not ScheduleState.ACTIVE:
        return None
    begun = len(schedule.take_times)
    passed = [step for step in range(begun, len(schedule.steps)) if time_of(schedule, step) <= now]
    return passed[-1] if passed else None


def taken(schedule: Schedule, step: int, now: datetime) -> Schedule:
    """The schedule after a step, with which those before it count as taken, too."""
    times = (*schedule.take_times, *(now for _ in range(len(schedule.take_times), step + 1)))
    following = step + 1 < len(schedule.steps)
    return replace(
        schedule,
        take_times=times,
        next_time=time_of(schedule, step + 1) if following else None,
        state=ScheduleState.ACTIVE if following else ScheduleState.DONE,
        update_time=now,
    )


def failed(schedule: Schedule, error: str, now: datetime) -> Schedule:
    """The schedule whose step could not be taken: it takes none until somebody resumes it."""
    return replace(schedule, state=ScheduleState.FAILED, error=error, update_time=now)


def begun(schedule: Schedule, now: datetime) -> Schedule:
    """The schedule whose proposal was approved."""
    return _moved(schedule, ScheduleState.ACTIVE, {ScheduleState.PROPOSED}, now)


def paused(schedule: Schedule, now: datetime) -> Schedule:
    """Raises ScheduleStateForbids where it is not active."""
    return _moved(schedule, ScheduleState.PAUSED, {ScheduleState.ACTIVE}, now)


def resumed(schedule: Schedule, now: datetime) -> Schedule:
    """Raises ScheduleStateForbids where it is neither paused nor failed."""
    again = _moved(schedule, ScheduleState.ACTIVE, {ScheduleState.PAUSED, ScheduleState.FAILED}, now)
    return replace(again, error="")


def canceled(schedule: Schedule, now: datetime) -> Schedule:
    """Raises ScheduleStateForbids where it has ended."""
    return replace(_moved(schedule, ScheduleState.CANCELED, set(ScheduleState) - _ENDED, now), next_time=None)


def _moved(schedule: Schedule, to: ScheduleState, of: Collection[ScheduleState], now: datetime) -> Schedule:
    if schedule.state not in of:
        raise ScheduleStateForbids(state=schedule.state, needed=" or ".join(sorted(of)))
    return replace(schedule, state=to, update_time=now)
