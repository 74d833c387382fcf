"""Schedules against a real server, and the job that takes their steps."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from uuid_utils.compat import uuid7

from backroom.flags.v1 import flag_service_pb2 as pb
from backroom.flags.v1 import flags_pb2
from server.flags.service import Schedules
from server.frame.module import now
from storage.flags.store import FLAGS
from tests.fixtures.servers import Api, Running, refusal
from tests.flags.calling import created, got, scheduling, step, versions

S = flags_pb2


@pytest.fixture
async def keeper(server: Running) -> Api:
    return await server.sign_in("manager")


async def found(api: Api, schedule: S.FlagSchedule) -> S.FlagSchedule:
    request = pb.GetFlagScheduleRequest(schedule_id=schedule.schedule_id)
    got: S.FlagSchedule = (await api.flags.GetFlagSchedule(request)).schedule
    return got


async def take_steps(server: Running, after: float = 0.0) -> int:
    """What the job does, by a clock that is so many seconds ahead."""
    schedules = Schedules(server.database.store(FLAGS), lambda: now() + timedelta(seconds=after), uuid7)
    return await schedules.take_steps()


async def moved(api: Api, name: str, schedule: S.FlagSchedule) -> Any:
    request: Any = getattr(pb, f"{name}FlagScheduleRequest")(request_id=str(uuid4()), schedule_id=schedule.schedule_id)
    return (await getattr(api.flags, f"{name}FlagSchedule")(request)).schedule


async def test_steps_are_taken_when_their_time_comes(server: Running, keeper: Api) -> None:
    """One after the other; the history names whoever scheduled them."""
    await created(keeper, "f")
    request = scheduling("f", 100, 200)
    schedule = (await keeper.flags.ScheduleFlagChange(request)).schedule
    assert (await keeper.flags.ScheduleFlagChange(request)).schedule == schedule
    assert (schedule.state, schedule.taken_count) == (S.SCHEDULE_STATE_ACTIVE, 0)
    assert await take_steps(server) == 0
    assert await take_steps(server, 150) == 1
    assert await take_steps(server, 150) == 0
    assert ((await found(keeper, schedule)).taken_count, (await got(keeper, "f")).version) == (1, 2)
    assert await take_steps(server, 250) == 1
    done = await found(keeper, schedule)
    assert (done.state, done.taken_count) == (S.SCHEDULE_STATE_DONE, 2)
    assert done.steps[1].HasField("take_time")
    last = (await versions(keeper, "f"))[0]
    assert (last.change, last.comment) == (S.FLAG_CHANGE_SCHEDULED, "step by step")
    assert last.changed_by == str(keeper.account_id)


async def test_a_paused_schedule_takes_no_step(server: Running, keeper: Api) -> None:
    """Until it is resumed; a canceled one takes none any more."""
    await created(keeper, "f")
    schedule = (await keeper.flags.ScheduleFlagChange(scheduling("f", -20, -10))).schedule
    assert (await moved(keeper, "Pause", schedule)).state == S.SCHEDULE_STATE_PAUSED
    assert await take_steps(server) == 0
    assert (await refusal(moved(keeper, "Pause", schedule))).reason == "SCHEDULE_STATE_FORBIDS"
    assert (await moved(keeper, "Resume", schedule)).state == S.SCHEDULE_STATE_ACTIVE
    assert await take_steps(server) == 1
    assert (await got(keeper, "f")).version == 2
    other = (await keeper.flags.ScheduleFlagChange(scheduling("f", -10))).schedule
    assert (await moved(keeper, "Cancel", other)).state == S.SCHEDULE_STATE_CANCELED
    assert await take_steps(server) == 0
    refused = await refusal(moved(keeper, "Cancel", other))
    assert (refused.reason, refused.metadata["state"]) == ("SCHEDULE_STATE_FORBIDS", "canceled")


async def test_a_step_that_cannot_be_taken_says_why(server: Running, keeper: Api) -> None:
    """The schedule waits until somebody resumes it."""
    await created(keeper, "f")
    schedule = (await keeper.flags.ScheduleFlagChange(scheduling("f", -10))).schedule
    await keeper.flags.ArchiveFlag(pb.ArchiveFlagRequest(key="f"))
    await take_steps(server)
    failed = await found(keeper, schedule)
    assert (failed.state, failed.taken_count) == (S.SCHEDULE_STATE_FAILED, 0)
    assert "archived" in failed.error
    await keeper.flags.RollbackFlag(pb.RollbackFlagRequest(key="f", version=1))
    assert (await moved(keeper, "Resume", schedule)).error == ""
    await take_steps(server)
    assert (await found(keeper, schedule)).state == S.SCHEDULE_STATE_DONE


async def test_an_edit_can_be_scheduled(server: Running, keeper: Api) -> None:
    """With the fields that its mask names, as UpdateFlag takes them."""
    await created(keeper, "f")
    one = step(-10)
    one.edit.flag.owner = "app"
    one.edit.update_mask.paths.extend(["owner", "ticket", "expire_time"])
    request = pb.ScheduleFlagChangeRequest(schedule=S.FlagSchedule(flag_key="f", steps=[one]))
    schedule = (await keeper.flags.ScheduleFlagChange(request)).schedule
    assert schedule.steps[0].edit == one.edit
    await take_steps(server)
    assert (await got(keeper, "f")).owner == "app"


async def test_a_schedule_that_could_not_be_followed_is_refused(keeper: Api) -> None:
    """Its steps are tried one after the other as it is made."""
    assert (await refusal(keeper.flags.ScheduleFlagChange(scheduling("f", 1)))).reason == "FLAG_NOT_FOUND"
    await created(keeper, "f")
    refused = await refusal(keeper.flags.ScheduleFlagChange(scheduling("f", 20, 10)))
    assert (refused.reason, list(refused.fields)) == ("FIELD_INVALID", ["schedule.steps[1].time"])
    bad = scheduling("f", 10)
    bad.schedule.steps[0].edit.flag.default_variant = "none"
    assert (await refusal(keeper.flags.ScheduleFlagChange(bad))).reason == "FLAG_INVALID"
    bad.schedule.steps[0].edit.update_mask.paths.append("key")
    refused = await refusal(keeper.flags.ScheduleFlagChange(bad))
    assert (refused.reason, list(refused.fields)) == ("FIELD_INVALID", ["schedule.steps[0].edit.update_mask"])
    missing = pb.GetFlagScheduleRequest(schedule_id=str(uuid4()))
    assert (await refusal(keeper.flags.GetFlagSchedule(missing))).reason == "SCHEDULE_NOT_FOUND"


async def test_schedules_are_listed_latest_first(keeper: Api) -> None:
    """Of one flag, and in one state, where asked; in pages."""
    for key in ("f", "g", "f"):
        if key == "g" or not (await keeper.flags.ListFlags(pb.ListFlagsRequest())).flags:
            await created(keeper, key)
        await keeper.flags.ScheduleFlagChange(scheduling(key, 100))
    first = await keeper.flags.ListFlagSchedules(pb.ListFlagSchedulesRequest(page_size=2))
    token = first.next_page_token
    rest = await keeper.flags.ListFlagSchedules(pb.ListFlagSchedulesRequest(page_size=2, page_token=token))
    assert [each.flag_key for each in (*first.schedules, *rest.schedules)] == ["f", "g", "f"]
    await moved(keeper, "Pause", first.schedules[0])
    request = pb.ListFlagSchedulesRequest(flag_key="f", state=S.SCHEDULE_STATE_PAUSED)
    assert [each.flag_key for each in (await keeper.flags.ListFlagSchedules(request)).schedules] == ["f"]
