from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.events.errors import MeterExists, MeterNotFound, TooManyMeters
from server.events.rules.asking import check_measure, check_properties
from server.events.service.meter_answers import METER
from server.frame.answers import DONE
from server.frame.editing import Edit, changed, check_etag
from server.frame.repeating import once
from storage.errors import AlreadyExists
from storage.events.measures import Measure, Meter
from storage.events.store import EventsConfigurationStore, EventsConfigurationTransaction, EventsStore
from storage.frame.records import ChangeContext

MAX_METERS = 200
"""Each event of a type is counted once more for each of its meters."""


@dataclass(frozen=True, slots=True)
class MeterDraft:
    """A meter that is to be made."""

    name: str
    description: str
    measure: Measure
    group_by: tuple[str, ...]


class Meters:
    """Meters, as they are declared in the main database; their rollups stand where the events do."""

    def __init__(
        self,
        configuration: EventsConfigurationStore,
        store: EventsStore,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._configuration = configuration
        self._store = store
        self._now = now
        self._new_id = new_id

    async def create(self, draft: MeterDraft, context: ChangeContext) -> Meter:
        """Raises FieldInvalid, MeterExists, TooManyMeters."""
        check_measure(draft.measure, "meter.measure")
        check_properties(draft.group_by, "meter.group_by")

        async def act(tx: EventsConfigurationTransaction) -> Meter:
            if await tx.meters.find(draft.name) is not None:
                raise MeterExists(name=draft.name)
            if await tx.meters.count() >= MAX_METERS:
                raise TooManyMeters(limit=str(MAX_METERS))
            now = self._now()
            meter = Meter(
                id=self._new_id(),
                name=draft.name,
                description=draft.description,
                measure=draft.measure,
                group_by=draft.group_by,
                version=1,
                create_time=now,
                update_time=now,
            )
            await tx.meters.add(meter)
            return meter

        try:
            return await once(self._configuration, context, METER, act, f"meter/{draft.name}")
        except AlreadyExists:  # made at the same time
            raise MeterExists(name=draft.name) from None

    async def edit(self, edit: Edit[str], context: ChangeContext) -> Meter:
        """Raises MeterNotFound, EtagMismatch."""

        async def act(tx: EventsConfigurationTransaction) -> Meter:
            before = await _lock(tx, edit.key)
            check_etag(before, edit)
            after = changed(before, edit.values, self._now())
            await tx.meters.change(after)
            return after

        return await once(self._configuration, context, METER, act, f"meter/{edit.key}")

    async def delete(self, name: str, etag: str, context: ChangeContext) -> None:
        """Raises MeterNotFound, EtagMismatch."""

        async def act(tx: EventsConfigurationTransaction) -> None:
            before = await _lock(tx, name)
            edit: Edit[str] = Edit(name, etag, {})
            check_etag(before, edit)
            await tx.meters.remove(before)

        await once(self._configuration, context, DONE, act, f"meter/{name}")

    async def get(self, name: str) -> Meter:
        """Raises MeterNotFound."""
        async with self._configuration.reading() as reading:
            return _known(await reading.meters.find(name), name)

    async def list_by_name(self, *, after: str | None, limit: int) -> Sequence[Meter]:
        async with self._configuration.reading() as reading:
            return await reading.meters.list_by_name(after=after, limit=limit)

    async def ready_from(self) -> Mapping[UUID, datetime | None]:
        """From when on meters have all of their rollups."""
        async with self._store.reading() as reading:
            return await reading.rollups.progress()


async def _lock(tx: EventsConfigurationTransaction, name: str) -> Meter:
    return _known(await tx.meters.lock(name), name)


def _known(meter: Meter | None, name: str) -> Meter:
    if meter is None:
        raise MeterNotFound(name=name)
    return meter
