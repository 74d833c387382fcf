from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from server.bookings.errors import ResourceNotFound
from server.bookings.rules.calendars import AHEAD, MAX_EVENTS, PAST, CalendarLink, check_may_link, holds_good
from server.bookings.service.answers import CALENDAR_LINK, RESOURCE
from server.frame.caller import Caller, PermissionsOf
from server.frame.errors import TokenInvalid
from server.frame.repeating import once
from storage.bookings.records import Booking, Resource
from storage.bookings.store import BookingsStore, BookingsTransaction
from storage.frame.records import ChangeContext


@dataclass(frozen=True, slots=True)
class ResourceCalendar:
    """What a calendar shows: a resource, and its bookings by when they begin."""

    resource: Resource
    bookings: Sequence[Booking]


class Calendars:
    """Calendars of resources, and the links by which they are read without an account."""

    def __init__(self, store: BookingsStore, permissions_of: PermissionsOf, now: Callable[[], datetime]) -> None:
        self._store = store
        self._permissions_of = permissions_of
        self._now = now

    async def link(
        self, caller: Caller, resource_id: UUID, valid_days: int, context: ChangeContext, *, details: bool
    ) -> CalendarLink:
        """Raises PermissionMissing, ResourceNotFound."""
        check_may_link(caller, details=details)

        async def act(tx: BookingsTransaction) -> CalendarLink:
            resource = _known(await tx.resources.find(resource_id), resource_id)
            until = int((self._now() + timedelta(days=valid_days)).timestamp())
            return CalendarLink(resource_id, caller.account_id, details, resource.link_version, until)

        return await once(self._store, context, CALENDAR_LINK, act, f"resource/{resource_id}")

    async def revoke(self, resource_id: UUID, context: ChangeContext) -> None:
        """Ends all links to a resource's calendar that were made before; raises ResourceNotFound."""

        async def act(tx: BookingsTransaction) -> Resource:
            resource = _known((await tx.resources.lock_many([resource_id])).get(resource_id), resource_id)
            changed = replace(resource, link_version=resource.link_version + 1)
            await tx.resources.change(changed)
            return changed

        await once(self._store, context, RESOURCE, act, f"resource/{resource_id}")

    async def read(self, link: CalendarLink) -> ResourceCalendar:
        """What a link shows now; raises TokenInvalid where it holds good no longer."""
        permissions, now = await self._permissions_of(link.account_id), self._now()
        async with self._store.reading() as reading:
            resource = await reading.resources.find(link.resource_id)
            if resource is None or not holds_good(link, resource.link_version, permissions, now):
                raise TokenInvalid
            bookings = await reading.bookings.list_active(resource.id, now, now - PAST, now + AHEAD, limit=MAX_EVENTS)
        return ResourceCalendar(resource, bookings)


def _known(resource: Resource | None, resource_id: UUID) -> Resource:
    if resource is None:
        raise ResourceNotFound(resource_id=str(resource_id))
    return resource
