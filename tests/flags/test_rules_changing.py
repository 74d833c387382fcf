"""Changes of flags: edits, rollbacks, steps of schedules, and proposals."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from server.flags.errors import (
    OwnProposal,
    ProposalDecided,
    ProposalNotFound,
    RolloutUnsuited,
    ScheduleStateForbids,
)
from server.flags.rules import drafts, proposals, schedules
from server.frame.editing import Edit, etag_of
from server.frame.errors import EtagMismatch
from storage.flags.records import FlagState, Proposal, ProposalState, Schedule, ScheduleState
from tests.flags.values import LATER, NOW, WHO, flag

OTHER = UUID(int=8)
HOUR = timedelta(hours=1)


def test_an_edit_makes_the_next_version() -> None:
    """One that changes nothing makes none, and one that comes too late is refused."""
    one = flag("f")
    edit = Edit(one.key, etag_of(one), {"default_variant": "on"})
    second = drafts.edited(one, edit, LATER)
    assert (second.version, second.default_variant, second.update_time) == (2, "on", LATER)
    assert drafts.edited(second, Edit(one.key, "", {"default_variant": "on"}), LATER) is second
    with pytest.raises(EtagMismatch):
        drafts.edited(second, edit, LATER)


def test_a_rollback_is_a_new_version_of_what_was() -> None:
    """Of all that a change may name, and of whether it was archived."""
    first = flag("f", targeting={"if": [True, "on"]}, owner="ada")
    third = replace(drafts.archived(first, LATER), version=3, targeting={}, owner="")
    back = drafts.rolled_back(third, first, LATER + HOUR)
    assert back == replace(first, version=4, update_time=LATER + HOUR)


def test_a_switch_off_disables() -> None:
    """Of a flag that is off already it changes nothing."""
    off = drafts.switched_off(flag("f"), LATER)
    assert (off.state, off.version) == (FlagState.DISABLED, 2)
    assert drafts.switched_off(off, LATER) is off


def test_a_rollout_is_a_new_targeting() -> None:
    """A flag that does not allow it says why."""
    out = drafts.rolled_out(flag("f"), {"on": 5_000}, "", "", LATER)
    assert (out.version, out.targeting) == (2, {"fractional": [["on", 5], ["off", 95]]})
    with pytest.raises(RolloutUnsuited, match="cannot be rolled out: it has no default_variant"):
        drafts.rolled_out(flag("f", default=""), {"on": 5_000}, "", "", LATER)


def schedule(state: ScheduleState = ScheduleState.ACTIVE, steps: int = 3) -> Schedule:
    given = [{"time": (NOW + step * HOUR).isoformat()} for step in range(steps)]
    return Schedule(uuid4(), "", "f", given, (), NOW, state, "", "", WHO, NOW, NOW)


def test_steps_are_taken_when_their_time_comes() -> None:
    """One after the other, to the end."""
    one = schedule()
    for step in range(3):
        now = NOW + step * HOUR
        assert schedules.due_step(one, now - timedelta(microseconds=1)) is None
        assert schedules.due_step(one, now) == step
        one = schedules.taken(one, step, now)
    assert (one.state, one.next_time, len(one.take_times)) == (ScheduleState.DONE, None, 3)
    assert schedules.due_step(one, NOW + 9 * HOUR) is None


def test_of_steps_that_were_missed_the_last_is_taken() -> None:
    """As after a pause: the flag goes where it is to be by now."""
    one = schedules.resumed(schedules.paused(schedule(), NOW), NOW)
    assert schedules.due_step(one, NOW + HOUR) == 1
    after = schedules.taken(one, 1, NOW + HOUR)
    assert (after.take_times, after.next_time) == ((NOW + HOUR, NOW + HOUR), NOW + 2 * HOUR)


def test_what_is_not_active_takes_no_step() -> None:
    """Paused, proposed, failed, or ended."""
    for state in set(ScheduleState) - {ScheduleState.ACTIVE}:
        assert schedules.due_step(schedule(state), NOW + 9 * HOUR) is None


@pytest.mark.parametrize(
    ("move", "of", "to"),
    [
        (schedules.begun, {"proposed"}, "active"),
        (schedules.paused, {"active"}, "paused"),
        (schedules.resumed, {"paused", "failed"}, "active"),
        (schedules.canceled, {"proposed", "active", "paused", "failed"}, "canceled"),
    ],
)
def test_a_schedule_moves_by_its_state(move: Callable[[Schedule, datetime], Schedule], of: set[str], to: str) -> None:
    """From any other it is refused, with the states that it needs."""
    for state in ScheduleState:
        if state.value in of:
            assert move(schedule(state), LATER).state == to
        else:
            with pytest.raises(ScheduleStateForbids, match=f"The schedule is {state}"):
                move(schedule(state), LATER)


def test_a_failed_step_says_why_until_it_is_resumed() -> None:
    """Its next time stays, so that resuming takes it."""
    broken = schedules.failed(schedule(), "The flag is archived.", LATER)
    assert (broken.state, broken.error, broken.next_time) == (ScheduleState.FAILED, "The flag is archived.", NOW)
    assert schedules.resumed(broken, LATER).error == ""


def proposal() -> Proposal:
    return Proposal(uuid4(), "", "UpdateFlag", "flag//f", 3, {}, "why", ProposalState.PENDING, WHO, None, "", NOW, None)


def test_nobody_decides_on_a_proposal_of_its_own() -> None:
    """Neither by approving nor by rejecting; and nobody withdraws another's."""
    for state in (ProposalState.APPROVED, ProposalState.REJECTED):
        with pytest.raises(OwnProposal):
            proposals.decided(proposal(), state, WHO, "", LATER)
    with pytest.raises(ProposalNotFound):
        proposals.withdrawn(proposal(), OTHER, LATER)


def test_a_proposal_is_decided_once() -> None:
    """Whichever way it went."""
    one = proposal()
    ends = [
        proposals.decided(one, ProposalState.APPROVED, OTHER, "good", LATER),
        proposals.decided(one, ProposalState.REJECTED, OTHER, "no", LATER),
        proposals.withdrawn(one, WHO, LATER),
        proposals.outdated(one, OTHER, LATER),
    ]
    for ended in ends:
        assert (ended.decide_time, ended.state is ProposalState.PENDING) == (LATER, False)
        with pytest.raises(ProposalDecided, match=f"it is {ended.state}"):
            proposals.decided(ended, ProposalState.APPROVED, OTHER, "", LATER)
