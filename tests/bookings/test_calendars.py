"""Calendars of resources over HTTP: what a link shows, to whom, and for how long."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest
import structlog
from icalendar import Calendar

from backroom.bookings.v1 import booking_service_pb2 as pb
from backroom.identity.v1 import access_service_pb2 as access_pb
from server.bookings.calendar_route import CalendarRoute
from server.bookings.rules.calendars import MAX_EVENTS, CalendarLink
from server.bookings.service.calendars import Calendars
from server.frame.module import now
from server.frame.sealing import MasterKeys
from storage.bookings.store import BOOKINGS
from tests.bookings.calling import ahead, booked, made
from tests.bookings.test_repository_occupancies import book, pair
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.servers import Api, Running, refusal


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.http, timeout=30) as client:
        yield client


async def linked(api: Api, resource_id: str, **rest: Any) -> str:
    answer = await api.bookings.CreateCalendarLink(pb.CreateCalendarLinkRequest(resource_id=resource_id, **rest))
    path: str = answer.path
    return path


def events_of(answer: httpx.Response) -> list[Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
    return Calendar.from_ical(answer.content).walk("VEVENT")


async def test_a_calendar_shows_what_takes_the_resource(service: Api, http: httpx.AsyncClient) -> None:
    """At its local time; pending ones are tentative; what is canceled, or of another resource, is not there."""
    room, other = await made(service, name="Röntgen", time_zone="Europe/Berlin"), await made(service)
    local = ahead().strftime("%Y-%m-%dT09:00")
    first = await booked(service, room, at=local, minutes=90)
    second = await booked(service, room, other, at=ahead(hour=15), lease_seconds=600)
    gone = await booked(service, room, at=ahead(8))
    await service.bookings.Cancel(pb.CancelRequest(booking_id=gone.booking_id))
    await booked(service, other, at=ahead(9))
    answer = await http.get(await linked(service, room))
    one, two = events_of(answer)
    assert [str(one["uid"]), str(two["uid"])] == [f"{each.booking_id}@backroom" for each in (first, second)]
    assert (one.decoded("dtstart"), one.decoded("duration")) == (
        datetime.fromisoformat(local).replace(tzinfo=ZoneInfo("Europe/Berlin")),
        timedelta(minutes=90),
    )
    assert (one["status"], two["status"]) == ("CONFIRMED", "TENTATIVE")
    assert "X-WR-CALNAME:Röntgen" in answer.text


async def test_only_a_link_with_details_tells_whose_bookings_they_are(service: Api, http: httpx.AsyncClient) -> None:
    room = await made(service)
    await booked(service, room, at=ahead(), title="Checkup", customer_id="17850")
    plain, full = await linked(service, room), await linked(service, room, include_details=True)
    (shown,) = events_of(await http.get(full))
    assert (str(shown["summary"]), str(shown["description"])) == ("Checkup", "Customer: 17850\nSeats: 1")
    answer = await http.get(plain)
    (shown,) = events_of(answer)
    assert str(shown["summary"]) == "Booked"
    assert "17850" not in answer.text
    assert "Checkup" not in answer.text


async def test_who_knows_the_calendar_is_not_sent_it_again(service: Api, http: httpx.AsyncClient) -> None:
    """Until a booking changes; nothing keeps it without asking."""
    room = await made(service)
    mine = await booked(service, room, at=ahead())
    path = await linked(service, room)
    first = await http.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    known = {"if-none-match": first.headers["etag"]}
    assert (await http.get(path, headers=known)).status_code == 304
    await service.bookings.Cancel(pb.CancelRequest(booking_id=mine.booking_id))
    assert events_of(await http.get(path, headers=known)) == []


async def test_a_link_that_was_revoked_and_one_that_never_was_are_answered_alike(
    service: Api, http: httpx.AsyncClient
) -> None:
    """New ones can be made; those of other resources go on."""
    room, other = await made(service), await made(service)
    path, others = await linked(service, room), await linked(service, other)
    await service.bookings.RevokeCalendarLinks(pb.RevokeCalendarLinksRequest(resource_id=room))
    revoked = await http.get(path)
    forged = await http.get(path.replace(".ics", "A.ics"))
    never = await http.get("/bookings/calendars/none.ics")
    assert revoked.status_code == 404
    assert told(revoked) == told(forged) == told(never)
    assert events_of(await http.get(others)) == []
    assert events_of(await http.get(await linked(service, room))) == []


def told(answer: httpx.Response) -> tuple[int, str, dict[str, str]]:
    """All that an answer tells, but for its time and the id of its call."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
    return answer.status_code, answer.text, headers


async def test_a_link_ends_with_the_rights_of_who_made_it(server: Running, http: httpx.AsyncClient) -> None:
    """Whoever is no longer a seller has no calendar."""
    admin, seller = await server.sign_in("admin"), await server.sign_in("staff")
    path = await linked(seller, await made(admin))
    assert (await http.get(path)).status_code == 200
    revoke = access_pb.RevokeRoleRequest(account_id=str(seller.account_id), role="staff")
    await admin.access.RevokeRole(revoke)
    assert (await http.get(path)).status_code == 404


async def test_a_link_holds_good_until_its_end(server: Running, service: Api, http: httpx.AsyncClient) -> None:
    """For as many days as were requested; the same link comes back to a repeated request."""
    room = await made(service)
    request = pb.CreateCalendarLinkRequest(request_id=str(UUID(int=7)), resource_id=room, valid_days=2)
    answer = await service.bookings.CreateCalendarLink(request)
    assert await service.bookings.CreateCalendarLink(request) == answer
    assert timedelta(days=1, hours=23) < answer.expire_time.ToDatetime(UTC) - now() <= timedelta(days=2)
    assert (await http.get(answer.path)).status_code == 200
    assert service.account_id is not None
    for seconds, status in ((60, 200), (-1, 404)):
        until = int(now().timestamp()) + seconds
        link = CalendarLink(UUID(room), service.account_id, details=False, version=1, until=until)
        assert (await http.get(route_of(server, MASTER_KEYS).path_of(link))).status_code == status
        foreign = route_of(server, MasterKeys([b"k" * 32])).path_of(link)
        assert (await http.get(foreign)).status_code == 404


def route_of(server: Running, keys: MasterKeys) -> CalendarRoute:
    """What signs links as the server does, with these keys."""
    calendars = Calendars(server.database.store(BOOKINGS), server.application.identity.permissions_of, now)
    return CalendarRoute(calendars, keys, structlog.get_logger())


async def test_a_link_that_is_fetched_all_the_time_waits(service: Api, http: httpx.AsyncClient) -> None:
    """Another link to the same calendar does not."""
    room = await made(service)
    path = await linked(service, room)
    answers = [await http.get(path) for _ in range(20)]
    assert {each.status_code for each in answers} == {200, 429}
    assert int(answers[-1].headers["retry-after"]) > 0
    assert (await http.get(await linked(service, room, valid_days=1))).status_code == 200


async def test_details_and_links_need_their_permissions(server: Running, service: Api) -> None:
    """A customer makes no link, and none to what is not there is made."""
    customer, room = await server.sign_in("customer"), await made(service)
    request = pb.CreateCalendarLinkRequest(resource_id=room)
    for call in (
        customer.bookings.CreateCalendarLink(request),
        customer.bookings.RevokeCalendarLinks(pb.RevokeCalendarLinksRequest(resource_id=room)),
    ):
        assert (await refusal(call)).reason == "PERMISSION_MISSING"
    nowhere = pb.CreateCalendarLinkRequest(resource_id=str(UUID(int=9)))
    assert (await refusal(service.bookings.CreateCalendarLink(nowhere))).reason == "RESOURCE_NOT_FOUND"


async def test_a_calendar_shows_the_first_2000_bookings(server: Running, service: Api, http: httpx.AsyncClient) -> None:
    """Of a resource that has more, from 31 days ago on."""
    room = await made(service)
    async with server.database.store(BOOKINGS).reading() as reading:
        resource = await reading.resources.find(UUID(room))
    assert resource is not None
    begin, hour = ahead(-32, hour=0), timedelta(hours=1)
    await book(server.database, *(pair(resource, begin + each * hour) for each in range(MAX_EVENTS + 100)))
    earliest = now() - timedelta(days=31)
    answer = await http.get(await linked(service, room))
    lines = answer.text.splitlines()
    assert (answer.status_code, lines.count("BEGIN:VEVENT")) == (200, MAX_EVENTS)
    starts = [datetime.strptime(line[-16:], "%Y%m%dT%H%M%S%z") for line in lines if line.startswith("DTSTART:")]
    assert earliest <= starts[0] < earliest + 2 * hour
    assert starts == [starts[0] + each * hour for each in range(MAX_EVENTS)]


async def test_a_calendar_of_many_bookings_is_whole(server: Running, service: Api, http: httpx.AsyncClient) -> None:
    """The log names its call, and never the link."""
    room = await made(service)
    await asyncio.gather(*(booked(service, room, at=ahead(2 + each // 20, hour=each % 20)) for each in range(200)))
    path = await linked(service, room)
    assert len(events_of(await http.get(path))) == 200
    assert "http_request" in {line["event"] for line in server.log}
    assert path.rpartition("/")[2].partition(".")[0] not in str(server.log)
