"""GET /bookings/calendars/{link}.ics: a resource's calendar, for calendar programs to subscribe to."""

import asyncio
from dataclasses import astuple
from math import ceil
from time import monotonic, perf_counter
from uuid import UUID

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from server.bookings.rules.calendars import CalendarLink, events_of
from server.bookings.service.calendars import Calendars, ResourceCalendar
from server.frame.calendar_feed import CONTENT_TYPE, calendar_text
from server.frame.entity_tags import etag_of, matches
from server.frame.errors import TokenInvalid
from server.frame.http import call_id_of
from server.frame.interceptors.rate_limit import Buckets, Rate
from server.frame.log import described
from server.frame.sealing import MasterKeys
from server.frame.signed_links import SignedLinks
from storage.errors import StoreError

_FOLDER = "/bookings/calendars"
_PURPOSE = "bookings.calendar"
_PRODUCT = "-//Backroom//Bookings//EN"
_RATE = Rate(per_second=0.1, burst=10)
"""Of one link: programs fetch a calendar every few minutes at most."""


class CalendarRoute:
    """Answers with a calendar to whoever has a link to it; to anybody else, and by any other link, alike."""

    def __init__(
        self, calendars: Calendars, master_keys: MasterKeys, logger: structlog.typing.FilteringBoundLogger
    ) -> None:
        self._calendars = calendars
        self._links = SignedLinks(master_keys, _PURPOSE)
        self._logger = logger
        self._buckets = Buckets(_RATE, monotonic)
        # One after the other: to write a large one takes some tenths of a second of a core.
        self._writing = asyncio.Semaphore(1)

    def path_of(self, link: CalendarLink) -> str:
        """A link as it is given out."""
        resource_id, account_id, details, version, until = astuple(link)
        return f"{_FOLDER}/{self._links.written([resource_id.hex, account_id.hex, int(details), version, until])}.ics"

    def route(self) -> Route:
        return Route(f"{_FOLDER}/{{link}}.ics", self._answer, methods=["GET"])

    async def _answer(self, request: Request) -> Response:
        call_id, began, fault = call_id_of(request), perf_counter(), ""
        try:
            answer = await self._calendar(request)
        except TokenInvalid:
            # The same whether it was never signed, has expired or was revoked: nobody learns more by trying.
            answer = PlainTextResponse("No calendar is here: ask for a new link.\n", 404)
        except StoreError:
            answer = PlainTextResponse("The database does not answer.\n", 503, {"retry-after": "1"})
        except Exception as error:  # noqa: BLE001 - nothing may rise further, where its text would be answered
            fault = described(error)
            answer = PlainTextResponse(f"The calendar could not be written; the call is {call_id}.\n", 500)
        answer.headers.update({"x-request-id": call_id, "x-content-type-options": "nosniff"})
        duration_ms = round((perf_counter() - began) * 1000, 2)
        line = {"call_id": call_id, "status": answer.status_code, "duration_ms": duration_ms}
        if fault:
            self._logger.error("calendar", **line, fault=fault)
        else:
            self._logger.info("calendar", **line)
        return answer

    async def _calendar(self, request: Request) -> Response:
        """Raises TokenInvalid, StoreError."""
        shown: str = request.path_params["link"]
        link = self._read(shown)
        if wait := self._buckets.take(shown):
            headers = {"retry-after": str(ceil(wait))}
            return PlainTextResponse("This calendar was fetched too often.\n", 429, headers)
        calendar = await self._calendars.read(link)
        # To be asked about each time, so that nothing keeps showing what was revoked.
        headers = {"etag": _etag(link, calendar), "cache-control": "private, no-cache"}
        asked = ", ".join(request.headers.getlist("if-none-match"))
        if asked and matches(asked, headers["etag"]):
            return Response(status_code=304, headers=headers)
        events = events_of(calendar.bookings, details=link.details)
        async with self._writing:
            text = await asyncio.to_thread(calendar_text, calendar.resource.name, events, product=_PRODUCT)
        return Response(text, 200, {**headers, "content-type": CONTENT_TYPE})

    def _read(self, shown: str) -> CalendarLink:
        resource_id, account_id, details, version, until = self._links.read(shown)
        return CalendarLink(UUID(resource_id), UUID(account_id), bool(details), version, until)


def _etag(link: CalendarLink, calendar: ResourceCalendar) -> str:
    shown = [(booking.id, booking.version) for booking in calendar.bookings]
    return etag_of(link.details, calendar.resource.name, shown)
