"""GET /bookings/calendars/{link}.ics: a resource's calendar, for calendar programs to subscribe to."""

import asyncio
from dataclasses import astuple
from time import monotonic
from uuid import UUID

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.bookings.rules.calendars import CalendarLink, events_of
from server.bookings.service.calendars import Calendars, ResourceCalendar
from server.frame.calendar_feed import CONTENT_TYPE, calendar_text
from server.frame.entity_tags import etag_of
from server.frame.errors import RateLimited, TokenInvalid
from server.frame.http import PublicAnswers, unless_known
from server.frame.interceptors.rate_limit import Buckets, Rate
from server.frame.sealing import MasterKeys
from server.frame.signed_links import SignedLinks

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
        self._answers = PublicAnswers(
            "bookings",
            logger,
            hidden=(TokenInvalid,),
            nothing_here="No calendar is here: ask for a new link.\n",
            headers={"x-content-type-options": "nosniff"},
        )
        self._buckets = Buckets(_RATE, monotonic)
        # One after the other: to write a large one takes some tenths of a second of a core.
        self._writing = asyncio.Semaphore(1)

    def path_of(self, link: CalendarLink) -> str:
        """A link as it is given out."""
        resource_id, account_id, details, version, until = astuple(link)
        return f"{_FOLDER}/{self._links.written([resource_id.hex, account_id.hex, int(details), version, until])}.ics"

    def route(self) -> Route:
        return Route(f"{_FOLDER}/{{link}}.ics", self._answers.around(self._calendar), methods=["GET"])

    async def _calendar(self, request: Request) -> Response:
        """Raises TokenInvalid, RateLimited, StoreError."""
        shown: str = request.path_params["link"]
        link = self._read(shown)
        if wait := self._buckets.take(shown):
            raise RateLimited(retry_after=wait)
        calendar = await self._calendars.read(link)
        # To be asked about each time, so that nothing keeps showing what was revoked.
        etag = _etag(link, calendar)
        answer = unless_known(request, etag)
        if answer is None:
            events = events_of(calendar.bookings, details=link.details)
            async with self._writing:
                text = await asyncio.to_thread(calendar_text, calendar.resource.name, events, product=_PRODUCT)
            answer = Response(text, 200, {"etag": etag, "content-type": CONTENT_TYPE})
        answer.headers["cache-control"] = "private, no-cache"
        return answer

    def _read(self, shown: str) -> CalendarLink:
        resource_id, account_id, details, version, until = self._links.read(shown)
        return CalendarLink(UUID(resource_id), UUID(account_id), bool(details), version, until)


def _etag(link: CalendarLink, calendar: ResourceCalendar) -> str:
    shown = [(booking.id, booking.version) for booking in calendar.bookings]
    return etag_of(link.details, calendar.resource.name, shown)
