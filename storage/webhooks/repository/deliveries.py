from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Text,
    Uuid,
    cast,
    column,
    func,
    select,
    table,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from storage.base import (
    Reader,
    Records,
    Repository,
    column_names,
    insert_json,
    json_parameter,
    json_rows,
    values_getter,
)
from storage.webhooks.records import QUEUE, Delivery, DeliveryFilter, DeliveryState, ScheduledDelivery
from storage.webhooks.repository.conditions import is_due
from storage.webhooks.tables import deliveries, endpoints

_GIVING = 0x626B726D_00000002
"""The advisory lock of whoever gives deliveries their turns."""

_MAX_PIECE = 4 * 1024 * 1024
_ROW = 256
"""In bytes, about: what a delivery takes beside its body."""

_COLUMNS = column_names(deliveries)
_DELIVERIES = Records(Delivery, state=DeliveryState)
_SCHEDULING = Records(ScheduledDelivery)
_NEW = values_getter(_COLUMNS)
_ADD = insert_json(deliveries, *_COLUMNS).on_conflict_do_nothing()
_CHANGEABLE = ("state", "attempt_count", "next_attempt_time", "last_attempt_time", "response_status", "error")
_FINISHED = (DeliveryState.SUCCEEDED, DeliveryState.FAILED)

_jobs = table(
    "procrastinate_jobs", column("queue_name", Text), column("status"), column("args", JSONB), schema="public"
)
"""The queue's own table; its schema is procrastinate's, so that it stands in no `tables`."""


class DeliveryReader(Reader):
    """How the events on their way to endpoints stand."""

    async def find(self, delivery_id: UUID) -> Delivery | None:
        return _DELIVERIES.first(
            await self._connection.execute(select(deliveries).where(deliveries.c.id == delivery_id))
        )

    async def list_latest(
        self, wanted: DeliveryFilter, *, before: tuple[datetime, UUID] | None, limit: int, size: int
    ) -> Sequence[Delivery]:
        """Deliveries from the latest on, starting below a key of (create_time, id).

        The last one is the first by which their bodies are larger than `size` bytes together, unless `limit` ends them.
        """
        some = select(deliveries).where(*_conditions(wanted))
        if before is not None:
            some = some.where(tuple_(deliveries.c.create_time, deliveries.c.id) < before)
        found = some.order_by(*_latest(deliveries)).limit(limit).subquery()
        mine = func.octet_length(found.c.body)
        so_far = (func.sum(mine).over(order_by=_latest(found)) - mine).label("so_far")
        sized = select(*found.c, so_far).subquery()
        statement = select(*(sized.c[name] for name in _COLUMNS)).where(sized.c.so_far <= size)
        return _DELIVERIES.all(await self._connection.execute(statement.order_by(*_latest(sized))))

    async def list_due(
        self, endpoint_ids: Collection[UUID], now: datetime, *, each: int
    ) -> Sequence[ScheduledDelivery]:
        """Up to so many of each endpoint's deliveries whose next attempt is due, the first due first."""
        wanted = json_rows(endpoints, "id")
        its = select(deliveries.c.id).where(deliveries.c.endpoint_id == wanted.c.id, is_due(now))
        first = its.order_by(deliveries.c.next_attempt_time, deliveries.c.id).limit(each).lateral("first")
        statement = select(wanted.c.id.label("endpoint_id"), first.c.id.label("delivery_id")).join_from(
            wanted, first, true()
        )
        found = await self._connection.execute(
            statement, json_parameter(("id",), ((each_id,) for each_id in endpoint_ids))
        )
        return _SCHEDULING.all(found)

    async def list_queued(self, endpoint_ids: Collection[UUID], now: datetime) -> Sequence[ScheduledDelivery]:
        """Those of endpoints' due deliveries that a job stands in the queue for, or is being done."""
        delivery_id = cast(_jobs.c.args["delivery_id"].astext, Uuid)
        statement = select(deliveries.c.endpoint_id, deliveries.c.id.label("delivery_id")).join_from(
            _jobs, deliveries, deliveries.c.id == delivery_id
        )
        waits = (_jobs.c.queue_name == QUEUE) & cast(_jobs.c.status, Text).in_(("todo", "doing"))
        mine = deliveries.c.endpoint_id.in_(endpoint_ids) & is_due(now)
        return _SCHEDULING.all(await self._connection.execute(statement.where(waits, mine)))


class DeliveryRepository(DeliveryReader, Repository):
    """Events on their way to endpoints."""

    async def add(self, new: Sequence[Delivery]) -> None:
        """Adds deliveries; one of the same event to the same endpoint stays as it is."""
        for piece in _pieces(new):
            await self._connection.execute(_ADD, json_parameter(_COLUMNS, map(_NEW, piece)))

    async def change(self, changed: Delivery) -> None:
        """Stores the new values of a delivery whose endpoint was locked in this transaction."""
        values = {name: getattr(changed, name) for name in _CHANGEABLE}
        await self._connection.execute(update(deliveries).where(deliveries.c.id == changed.id).values(values))

    async def give_up(self, endpoint_id: UUID, error: str) -> None:
        """Fails an endpoint's pending deliveries; the endpoint was locked in this transaction."""
        pending = (deliveries.c.endpoint_id == endpoint_id) & (deliveries.c.state == DeliveryState.PENDING)
        values = {"state": DeliveryState.FAILED, "next_attempt_time": None, "error": error}
        await self._connection.execute(update(deliveries).where(pending).values(values))

    async def give_up_all(self, error: str) -> int:
        """Fails all pending deliveries, and returns how many those were."""
        pending = deliveries.c.state == DeliveryState.PENDING
        values = {"state": DeliveryState.FAILED, "next_attempt_time": None, "error": error}
        return (await self._connection.execute(update(deliveries).where(pending).values(values))).rowcount

    async def try_lock_scheduling(self) -> bool:
        """Whether this transaction, and no other until it ends, gives deliveries their turns."""
        return bool((await self._connection.execute(select(func.pg_try_advisory_xact_lock(_GIVING)))).scalar_one())

    async def purge(self, before: datetime, limit: int) -> int:
        """Forgets up to so many finished deliveries from before a time, and returns how many that were."""
        finished = deliveries.c.state.in_(_FINISHED)
        return await self._delete_before(deliveries.c.create_time, before, limit, finished)


def _latest(of: FromClause) -> Sequence[ColumnElement[Any]]:
    return (of.c.create_time.desc(), of.c.id.desc())


def _pieces(new: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
    """So few at once that a statement stays small."""
    begin = size = 0
    for place, delivery in enumerate(new):
        size += _ROW + len(delivery.body)
        if size >= _MAX_PIECE:
            yield new[begin : place + 1]
            begin, size = place + 1, 0
    if begin < len(new):
        yield new[begin:]


def _conditions(wanted: DeliveryFilter) -> Iterator[Any]:
    if wanted.endpoint_id is not None:
        yield deliveries.c.endpoint_id == wanted.endpoint_id
    if wanted.state is not None:
        yield deliveries.c.state == wanted.state
