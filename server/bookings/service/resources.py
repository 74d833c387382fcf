from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from server.bookings.errors import ResourceNotFound
from server.bookings.rules.resources import ResourceDraft, edited
from server.bookings.service.answers import RESOURCE
from server.frame.editing import Edit
from server.frame.repeating import once
from storage.bookings.records import Resource
from storage.bookings.store import BookingsStore, BookingsTransaction
from storage.frame.records import ChangeContext


class Resources:
    """What can be booked."""

    def __init__(self, store: BookingsStore, now: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id

    async def create(self, draft: ResourceDraft, context: ChangeContext) -> Resource:
        """Raises FieldInvalid where the hours of a day overlap, or the time zone is unknown."""

        async def act(tx: BookingsTransaction) -> Resource:
            resource = draft.as_resource(self._new_id(), self._now())
            return replace(resource, number=await tx.resources.add(resource))

        return await once(self._store, context, RESOURCE, act, lambda resource: f"resource/{resource.id}")

    async def edit(self, edit: Edit[UUID], context: ChangeContext) -> Resource:
        """Changes the fields that the edit names; raises ResourceNotFound, EtagMismatch, FieldInvalid."""

        async def act(tx: BookingsTransaction) -> Resource:
            resource = (await tx.resources.lock_many([edit.key])).get(edit.key)
            if resource is None:
                raise ResourceNotFound(resource_id=str(edit.key))
            changed = edited(resource, edit, self._now())
            await tx.resources.change(changed)
            return changed

        return await once(self._store, context, RESOURCE, act, f"resource/{edit.key}")

    async def get(self, resource_id: UUID) -> Resource:
        """Raises ResourceNotFound."""
        async with self._store.reading() as reading:
            resource = await reading.resources.find(resource_id)
        if resource is None:
            raise ResourceNotFound(resource_id=str(resource_id))
        return resource

    async def list_latest(
        self, *, before: tuple[datetime, UUID] | None, limit: int, archived: bool
    ) -> Sequence[Resource]:
        """Latest first; the archived ones too where requested."""
        async with self._store.reading() as reading:
            return await reading.resources.list_latest(before=before, limit=limit, archived=archived)
