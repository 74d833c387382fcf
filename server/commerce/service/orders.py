from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from server.commerce.rules import ending, life
from server.commerce.rules import orders as rules
from server.commerce.rules.events import order_event
from server.commerce.rules.settling import Settlement
from server.commerce.service.answers import ORDER, PLACED_ORDER
from server.commerce.service.settling import store
from server.frame.batching import retry_on_contention
from server.frame.caller import Caller
from server.frame.errors import Refusal
from server.frame.repeating import classify_batch, once
from storage.commerce.records import Order, OrderFilter, OrderState
from storage.commerce.store import CommerceStore, CommerceTransaction
from storage.errors import AlreadyExists, StoreContention
from storage.frame.records import NOBODY, ChangeContext

EXPIRE = "commerce.expire"
"""The task that ends reservations."""

_EXPIRED_AT_ONCE = 100
_EXPIRED_WITHIN = timedelta(hours=1)
"""After its reservation has ended: while no worker ran, an order could be pending for longer."""


class Orders:
    """Orders, from the first to the last."""

    def __init__(
        self,
        store: CommerceStore,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        terms: rules.Terms = rules.Terms(),  # noqa: B008 - it is frozen
    ) -> None:
        """`terms` is what may be reserved without having been paid."""
        self._store = store
        self._now = now
        self._new_id = new_id
        self._terms = terms

    async def place(self, requests: Sequence[rules.PlaceOrder]) -> Sequence[Order | Refusal]:
        """Decides orders in the order they came, all in one transaction."""
        try:
            async with self._store.transaction() as tx:
                return await self._place(tx, requests)
        except AlreadyExists as error:
            # A reference was taken by another server after it was looked for; on a retry, it will be found.
            raise StoreContention from error

    async def read(self, requests: Sequence[rules.ReadOrder]) -> Sequence[Order | Refusal]:
        """The orders requested, with their lines; OrderNotFound for one that its caller may not see."""
        async with self._store.reading() as reading:
            found = await reading.orders.find_many({request.order_id for request in requests})
        return [rules.seen(found.get(request.order_id), request) for request in requests]

    async def list_latest(
        self, caller: Caller, wanted: OrderFilter, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Order]:
        """Orders without their lines, latest first; raises CustomerNotPermitted."""
        allowed = replace(wanted, customer_id=rules.customer_to_list(wanted.customer_id, caller))
        async with self._store.reading() as reading:
            return await reading.orders.list_latest(allowed, before=before, limit=limit)

    async def cancel(self, caller: Caller, order_id: UUID, reason: str, context: ChangeContext) -> Order:
        """Cancels an order and gives back its stock and its money; raises OrderNotFound, OrderStateConflict."""

        async def act(tx: CommerceTransaction) -> Order:
            order = rules.visible(await tx.orders.lock(order_id), caller, order_id)
            life.check(order, OrderState.CANCELLED)
            payments = list((await tx.payments.find_of_orders([order_id])).values())
            returned = await tx.payments.count_returned([order_id]) if payments else {}
            stock_items = list((await tx.stock.lock_by_id({line.product_id for line in order.lines})).values())
            settlement = ending.cancel(
                order, reason, payments, returned, stock_items, caller, self._new_id, self._now()
            )
            await store(tx, settlement)
            await tx.audit.record([context.entry(resource) for resource in settlement.touched])
            return settlement.orders[order_id]

        return await once(self._store, context, ORDER, act, None)

    async def fulfill(self, caller: Caller, order_id: UUID, context: ChangeContext) -> Order:
        """Marks a paid order as fulfilled; raises OrderNotFound, OrderStateConflict."""

        async def act(tx: CommerceTransaction) -> Order:
            order = rules.visible(await tx.orders.lock(order_id), caller, order_id)
            fulfilled = life.moved(order, OrderState.FULFILLED, self._now())
            await store(tx, Settlement(orders={order_id: fulfilled}, events=[order_event(fulfilled)]))
            return fulfilled

        return await once(self._store, context, ORDER, act, f"order/{order_id}")

    async def expire_due(self) -> int:
        """Ends the reservations that have expired, some at a time, and returns how many those were."""
        expired = 0
        while count := await retry_on_contention(self._expire_some):
            expired += count
        return expired

    async def _expire_some(self) -> int:
        now = self._now()
        async with self._store.transaction() as tx:
            due = await tx.orders.lock_due(now, _EXPIRED_AT_ONCE)
            if due:
                payments = await tx.payments.find_of_orders(due)
                products = {line.product_id for order in due.values() for line in order.lines}
                stock_items = await tx.stock.lock_by_id(products)
                settlement = ending.expire(due, list(payments.values()), list(stock_items.values()), now)
                await store(tx, settlement)
                request = ChangeContext(NOBODY, EXPIRE, now)
                await tx.audit.record([request.entry(resource) for resource in settlement.touched])
        return len(due)

    async def _place(self, tx: CommerceTransaction, requests: Sequence[rules.PlaceOrder]) -> Sequence[Order | Refusal]:
        # The answer to remember is known beforehand, which saves a statement.
        classified = await classify_batch(
            tx, PLACED_ORDER, [request.context for request in requests], [request.order_id for request in requests]
        )
        new = [requests[place] for place in classified.new]
        stock_items = await tx.stock.lock(rules.skus_of(new))  # rows in key order: no deadlock
        taken = await tx.orders.find_references(rules.references_of(new))
        # Once the stock is locked: an order of the same product that another server placed is counted, too.
        now, bounded = self._now(), rules.bounded_customers(new)
        unpaid = await tx.orders.count_unpaid(bounded, now - self._terms.hold - _EXPIRED_WITHIN)
        deleted = await tx.account_deletions.deleted_among(rules.others_of(new))
        verdicts = rules.decide(new, stock_items, taken, now, self._terms, unpaid, deleted)
        await tx.orders.add(verdicts.placed)
        await tx.stock.move(verdicts.moves)
        await tx.events.publish([order_event(order) for order in verdicts.placed])
        outcomes = list(zip(new, verdicts.answers, strict=True))
        placed = [request for request, answer in outcomes if not isinstance(answer, Refusal)]
        await tx.audit.record([request.context.entry(f"order/{request.order_id}") for request in placed])
        refused = [request.context.key for request, answer in outcomes if isinstance(answer, Refusal)]
        await tx.requests.release([key.scope for key in refused if key])
        return classified.answers(verdicts.answers, await _as_placed(tx, classified.kept))


async def _as_placed(tx: CommerceTransaction, kept: Mapping[int, UUID]) -> Mapping[int, Order]:
    """The orders that earlier requests placed, as they were answered."""
    if not kept:
        return {}
    found = await tx.orders.find_many(set(kept.values()))
    return {place: rules.as_placed(found[order_id]) for place, order_id in kept.items()}
