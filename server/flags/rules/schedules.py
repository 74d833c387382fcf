"""When the steps of a schedule are taken, and who may stop it."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from server.flags.errors import ScheduleStateForbids
from storage.flags.records import Schedule, ScheduleState

_ENDED = frozenset({ScheduleState.DONE, ScheduleState.CANCELED})


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
