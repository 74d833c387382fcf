"""Events that are listed, watched and deleted."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from backroom.events.v1 import event_service_pb2 as pb
from backroom.events.v1 import events_pb2
from server.frame.wire import timestamp
from storage.events.repository import RefusedEventRepository
from storage.store import FRAME
from tests.events.calling import ago, broken_laws, deleted, event, fresh, listed, outcomes, refused_events
from tests.fixtures.servers import Api, Running, refusal


def ids(events: Sequence[events_pb2.Event]) -> list[str]:
    return [each.id for each in events]


async def test_a_list_is_in_the_order_of_time(service: Api) -> None:
    """The last first, page by page, across days, also where many happened at the same time."""
    times = [ago(days=each // 10) for each in range(60)]
    sent = [event(time=times[each - each % 3], id=f"{each:02}") for each in range(60)]
    await outcomes(service, *sent)
    found = await listed(service, page_size=7)
    assert sorted(ids(found)) == sorted(ids(sent))
    assert [each.time.ToNanoseconds() for each in found] == sorted(
        (each.time.ToNanoseconds() for each in sent), reverse=True
    )


async def test_a_list_shows_what_a_filter_leaves(service: Api) -> None:
    """By type, source, subject and time."""
    old, new = ago(days=3), ago(hours=1)
    sent = [
        event(id="1", type="a", source="/x", subject="s", time=old),
        event(id="2", type="b", source="/x", subject="t", time=old),
        event(id="3", type="a", source="/y", subject="s", time=new),
        event(id="4", type="c", source="/y", time=new),
    ]
    await outcomes(service, *sent)

    async def found(start_time: Any = None, end_time: Any = None, **wanted: Any) -> str:
        events = await listed(service, filter=pb.EventFilter(**wanted), start_time=start_time, end_time=end_time)
        return "".join(sorted(ids(events)))

    assert await found(types=["a"]) == "13"
    assert await found(types=["b", "c"]) == "24"
    assert await found(source="/x") == "12"
    assert await found(subject="s") == "13"
    assert await found(subject="s", source="/y") == "3"
    assert await found(start_time=timestamp(new)) == "34"
    assert await found(end_time=timestamp(new)) == "12"
    assert await found(start_time=timestamp(old), end_time=timestamp(old + timedelta(microseconds=1))) == "12"
    assert await found(types=["nothing"]) == ""


async def test_a_page_token_is_of_its_list_alone(service: Api) -> None:
    """Another filter is another list."""
    await outcomes(service, *(event() for _ in range(3)))
    page = await service.events.ListEvents(pb.ListEventsRequest(page_size=1))
    other = pb.ListEventsRequest(page_token=page.next_page_token, filter=pb.EventFilter(source="/x"))
    assert (await refusal(service.events.ListEvents(other))).reason == "PAGE_TOKEN_INVALID"


async def watched(call: Any, count: int) -> list[pb.WatchEventsResponse]:
    """So many messages that have an event."""
    found: list[pb.WatchEventsResponse] = []
    async for message in call:
        if message.HasField("event"):
            found.append(message)
        if len(found) == count:
            break
    return found


async def test_a_watch_sends_each_event_once_in_the_order_in_which_they_are_stored(service: Api) -> None:
    """Whatever their times; and continues behind any message."""
    call = service.events.WatchEvents(pb.WatchEventsRequest())
    assert (await anext(aiter(call))).resume_token
    sent = [event(time=ago(days=each % 5), id=str(each)) for each in range(30)]
    for start in range(0, 30, 10):
        assert await outcomes(service, *sent[start : start + 10], sent[0]) == ["stored"] * 10 + ["duplicate"]
    seen = await watched(call, 30)
    call.cancel()
    assert ids([message.event for message in seen]) == ids(sent)
    for place in (0, 4, 9, 10, 17, 28):
        again = service.events.WatchEvents(pb.WatchEventsRequest(resume_token=seen[place].resume_token))
        rest = await watched(again, 29 - place)
        again.cancel()
        assert ids([message.event for message in rest]) == ids(sent)[place + 1 :], place


async def test_a_watch_reads_large_batches_page_by_page(service: Api) -> None:
    """More than is handed around at once, in batches larger than a page."""
    call = service.events.WatchEvents(pb.WatchEventsRequest())
    first = await anext(aiter(call))
    call.cancel()
    sent = [[event(id=f"{batch}-{each}") for each in range(1_300)] for batch in range(3)]
    for batch in sent:
        assert await outcomes(service, *batch) == ["stored"] * 1_300
    again = service.events.WatchEvents(pb.WatchEventsRequest(resume_token=first.resume_token))
    seen = await watched(again, 3_900)
    again.cancel()
    assert ids([message.event for message in seen]) == [each.id for batch in sent for each in batch]


async def test_a_watch_sends_what_its_filter_leaves(service: Api) -> None:
    """Both to a watch that is up to date, and to one that continues."""
    wanted = pb.EventFilter(types=["b", "a"], source="/shop", subject="s")
    call = service.events.WatchEvents(pb.WatchEventsRequest(filter=wanted))
    token = (await anext(aiter(call))).resume_token
    sent = [event(type=kind, subject=subject) for subject in "st" for kind in "abc"]
    await outcomes(service, *sent)
    seen = ids([message.event for message in await watched(call, 2)])
    call.cancel()
    again = service.events.WatchEvents(pb.WatchEventsRequest(resume_token=token, filter=wanted))
    assert ids([message.event for message in await watched(again, 2)]) == seen == ids(sent[:2])
    again.cancel()
    other = service.events.WatchEvents(pb.WatchEventsRequest(resume_token=token))
    assert (await refusal(anext(aiter(other)))).reason == "RESUME_TOKEN_INVALID"


async def test_a_subjects_events_are_deleted_everywhere(server: Running, admin: Api) -> None:
    """Those of other subjects stay; asking again finds nothing, and what is sent again is not stored again."""
    hers = [event(subject="jane", time=ago(days=each % 4)) for each in range(30)]
    others = [event(subject=each) for each in ("jan", "janet", "")]
    assert set(await outcomes(admin, *hers, *others)) == {"stored"}
    assert await outcomes(admin, event(subject="jane", data="{")) == ["data_malformed"]
    request_id = fresh()
    answer = await deleted(admin, "jane", request_id)
    assert (answer.deleted_events, answer.deleted_refused_events) == (30, 1)
    assert await deleted(admin, "jane", request_id) == answer
    again = await deleted(admin, "jane")
    assert (again.deleted_events, again.deleted_refused_events) == (0, 0)
    assert sorted(ids(await listed(admin))) == sorted(ids(others))
    assert await refused_events(admin) == []
    assert set(await outcomes(admin, *hers)) == {"duplicate"}
    assert await outcomes(admin, event(subject="jane")) == ["stored"]
    assert not await broken_laws(server)


async def test_what_is_deleted_is_counted_anew(server: Running, admin: Api) -> None:
    """The minutes of what was deleted are touched."""
    time = ago(days=2).replace(second=0, microsecond=0)
    await outcomes(admin, event(subject="jane", time=time + timedelta(seconds=59), type="a"))
    async with server.database.store(FRAME).transaction() as tx:
        await tx._connection.execute(text("DELETE FROM events.touched"))
    await deleted(admin, "jane")
    async with server.database.store(FRAME).transaction() as tx:
        touched = (await tx._connection.execute(text("SELECT type, minute FROM events.touched"))).all()
    assert [tuple(row) for row in touched] == [("a", time)]


async def test_a_deletion_leaves_a_record_that_does_not_name_the_subject(server: Running, admin: Api) -> None:
    """The record keeps what it names, and a subject may be an address."""
    await outcomes(admin, event(subject="jane@example.com"))
    await deleted(admin, "jane@example.com")
    async with server.database.store(FRAME).transaction() as tx:
        found = await tx._connection.execute(text("SELECT resource FROM frame.audit_entries ORDER BY sequence DESC"))
        resources = list(found.scalars())
    assert resources[0].startswith("event_subject/")
    assert "jane" not in str(resources)


async def test_a_deletion_that_breaks_off_is_recorded_all_the_same(
    server: Running, admin: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is deleted that nobody's name stands beside; repeated, it deletes what is left."""
    await outcomes(admin, event(subject="jane"), event(subject="jane", data="{"))
    request_id = fresh()
    with monkeypatch.context() as broken:
        broken.setattr(RefusedEventRepository, "delete_subject", _breaks)
        assert (await refusal(deleted(admin, "jane", request_id))).reason == "INTERNAL"
    assert await listed(admin) == []
    async with server.database.store(FRAME).transaction() as tx:
        found = await tx._connection.execute(text("SELECT resource FROM frame.audit_entries ORDER BY sequence DESC"))
        assert next(found.scalars()).startswith("event_subject/")
    answer = await deleted(admin, "jane", request_id)
    assert (answer.deleted_events, answer.deleted_refused_events) == (0, 1)


async def _breaks(*_: object) -> int:
    raise RuntimeError


@pytest.mark.parametrize("role", ["staff", "customer", "service", "manager"])
async def test_who_may_delete_a_subject(server: Running, role: str) -> None:
    """Managers and programs."""
    api = await server.sign_in(role)
    if role in ("service", "manager"):
        assert (await deleted(api, "x")).deleted_events == 0
    else:
        assert (await refusal(deleted(api, "x"))).reason == "PERMISSION_MISSING"
