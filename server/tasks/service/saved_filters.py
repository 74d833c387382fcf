from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from server.frame.answers import DONE
from server.frame.editing import Edit, changed, check_etag
from server.frame.errors import FieldInvalid
from server.frame.repeating import once
from server.tasks.errors import LimitReached, SavedFilterNotFound
from server.tasks.rules.access import MOST_SAVED_FILTERS
from server.tasks.service.answers import SAVED_FILTER
from storage.frame.records import ChangeContext
from storage.tasks.records import SavedFilter, TaskFilter, TaskOrder
from storage.tasks.store import TasksStore, TasksTransaction


class SavedFilters:
    """Filters that accounts save, each for itself."""

    def __init__(self, store: TasksStore, now: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id

    async def create(self, name: str, wanted: TaskFilter, order: TaskOrder, context: ChangeContext) -> SavedFilter:
        """Raises LimitReached."""

        async def act(tx: TasksTransaction) -> SavedFilter:
            if await tx.saved_filters.count(context.caller_id) >= MOST_SAVED_FILTERS:
                raise LimitReached(what="saved filters of an account", most=str(MOST_SAVED_FILTERS))
            now = self._now()
            saved = SavedFilter(self._new_id(), context.caller_id, name, wanted, order, 1, now, now)
            await tx.saved_filters.add(saved)
            return saved

        return await once(self._store, context, SAVED_FILTER, act, lambda saved: f"saved_filter/{saved.id}")

    async def edit(self, edit: Edit[UUID], context: ChangeContext) -> SavedFilter:
        """Raises SavedFilterNotFound, EtagMismatch, FieldInvalid."""

        async def act(tx: TasksTransaction) -> SavedFilter:
            before = await self._lock(tx, edit.key, context)
            check_etag(before, edit)
            after = changed(before, edit.values, self._now())
            if not after.name:
                raise FieldInvalid.of("saved_filter.name", "is required")
            await tx.saved_filters.change(after)
            return after

        return await once(self._store, context, SAVED_FILTER, act, f"saved_filter/{edit.key}")

    async def delete(self, filter_id: UUID, context: ChangeContext) -> None:
        """Raises SavedFilterNotFound."""

        async def act(tx: TasksTransaction) -> None:
            await tx.saved_filters.remove(await self._lock(tx, filter_id, context))

        await once(self._store, context, DONE, act, f"saved_filter/{filter_id}")

    async def list_latest(
        self, account_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[SavedFilter]:
        """Latest first."""
        async with self._store.reading() as reading:
            return await reading.saved_filters.list_latest(account_id, before=before, limit=limit)

    async def _lock(self, tx: TasksTransaction, filter_id: UUID, context: ChangeContext) -> SavedFilter:
        saved = await tx.saved_filters.lock(context.caller_id, filter_id)
        if saved is None:
            raise SavedFilterNotFound(saved_filter_id=str(filter_id))
        return saved
