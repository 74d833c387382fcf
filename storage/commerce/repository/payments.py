from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, or_, select, tuple_

from storage.base import (
    Reader,
    Records,
    Repository,
    column_names,
    insert_json,
    json_parameter,
    update_json,
    values_getter,
)
from storage.commerce.records import (
    Payment,
    PaymentFilter,
    PaymentState,
    Price,
    Refund,
    RefundReason,
    RefundState,
    RestockLine,
)
from storage.commerce.tables import orders, payments, products, refund_lines, refunds

_PAYMENT = tuple(name for name in column_names(payments) if name != "customer_id")
_REFUND = column_names(refunds)
_LINE = column_names(refund_lines)
_CHANGEABLE = (
    *("id", "provider_id", "state", "authorized", "captured", "refunded"),
    *("failure", "voided", "client_secret", "update_time"),
)
_REFUND_CHANGEABLE = ("id", "provider_id", "state", "update_time")

_PAYMENTS = Records(Payment, state=PaymentState, amount=(Price, "amount", "currency"), refunds=(tuple,))
_REFUNDS = Records(Refund, state=RefundState, reason=RefundReason)
_RESTOCK = Records(RestockLine)
_NEW = values_getter(_PAYMENT, amount="amount.amount", currency="amount.currency")
_CHANGED = values_getter(_CHANGEABLE)
_NEW_REFUND = values_getter(_REFUND)
_CHANGED_REFUND = values_getter(_REFUND_CHANGEABLE)

_CHANGE = update_json(payments, *_CHANGEABLE)
_ADD_REFUNDS = insert_json(refunds, *_REFUND)
_ADD_REFUND_LINES = insert_json(refund_lines, *_LINE)
_CHANGE_REFUNDS = update_json(refunds, *_REFUND_CHANGEABLE)


class PaymentReader(Reader):
    """Payments and their refunds, as they stand."""

    async def find(self, payment_id: UUID) -> Payment | None:
        """The payment with its refunds."""
        rows = (await self._connection.execute(select(payments).where(payments.c.id == payment_id))).all()
        return (await self._with_refunds(rows)).get(payment_id)

    async def find_refund(self, refund_id: UUID) -> UUID | None:
        """The payment that a refund pays back."""
        found = await self._connection.execute(select(refunds.c.payment_id).where(refunds.c.id == refund_id))
        return found.scalar()

    async def find_of_orders(self, order_ids: Collection[UUID]) -> Mapping[UUID, Payment]:
        """All payments of these orders with their refunds, by their ids, the first first."""
        statement = select(payments).where(payments.c.order_id.in_(order_ids)).order_by(payments.c.id)
        return await self._with_refunds((await self._connection.execute(statement)).all())

    async def find_reported(
        self, provider: str, ids: Collection[UUID], provider_ids: Collection[str]
    ) -> Sequence[tuple[UUID, UUID, str | None]]:
        """Which payments of a provider have one of these ids, or of its own ids, as (id, order_id, provider_id)."""
        known = or_(payments.c.id.in_(ids), payments.c.provider_id.in_(provider_ids))
        statement = select(payments.c.id, payments.c.order_id, payments.c.provider_id)
        found = await self._connection.execute(statement.where(payments.c.provider == provider, known))
        return [(row.id, row.order_id, row.provider_id) for row in found]

    async def totals_of(self, provider: str, provider_ids: Collection[str]) -> Mapping[str, tuple[Decimal, Decimal]]:
        """How much was taken and paid back with a provider's payments, by its own ids."""
        columns = (payments.c.provider_id, payments.c.captured, payments.c.refunded)
        statement = select(*columns).where(payments.c.provider == provider, payments.c.provider_id.in_(provider_ids))
        found = await self._connection.execute(statement)
        return {row.provider_id: (row.captured, row.refunded) for row in found}

    async def count_taken(self, provider: str) -> int:
        """How many of a provider's payments took money."""
        statement = select(func.count()).select_from(payments)
        found = await self._connection.execute(
            statement.where(payments.c.provider == provider, payments.c.captured > 0)
        )
        return found.scalar_one()

    async def count_returned(self, order_ids: Collection[UUID]) -> Mapping[UUID, Mapping[UUID, int]]:
        """How many pieces came back of these orders with refunds, by order and product."""
        columns = (payments.c.order_id, refund_lines.c.product_id, func.sum(refund_lines.c.quantity).label("pieces"))
        statement = select(*columns).join_from(refund_lines, refunds).join(payments)
        statement = statement.where(payments.c.order_id.in_(order_ids)).group_by(*columns[:2])
        returned: dict[UUID, dict[UUID, int]] = {}
        for row in await self._connection.execute(statement):
            returned.setdefault(row.order_id, {})[row.product_id] = int(row.pieces)
        return returned

    async def list_latest(
        self, wanted: PaymentFilter, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Payment]:
        """Payments without their refunds from the latest on, starting below a key of (create_time, id)."""
        statement = select(payments).where(*_conditions(wanted))
        if before is not None:
            statement = statement.where(tuple_(payments.c.create_time, payments.c.id) < before)
        statement = statement.order_by(payments.c.create_time.desc(), payments.c.id.desc()).limit(limit)
        return _PAYMENTS.all(await self._connection.execute(statement))

    async def _with_refunds(self, rows: Sequence[Row[Any]]) -> Mapping[UUID, Payment]:
        refunds_of = await self._refunds([row.id for row in rows])
        found = _PAYMENTS.all(rows, refunds=lambda row: tuple(refunds_of.get(row.id, ())))
        return {each.id: each for each in found}

    async def _refunds(self, payment_ids: Collection[UUID]) -> Mapping[UUID, Sequence[Refund]]:
        """The refunds of these payments, by payment, the first first."""
        if not payment_ids:
            return {}
        statement = select(refunds).where(refunds.c.payment_id.in_(payment_ids)).order_by(refunds.c.id)
        rows = (await self._connection.execute(statement)).all()
        restock = await self._restock([row.id for row in rows])
        found: dict[UUID, list[Refund]] = {}
        for refund in _REFUNDS.all(rows, restock=lambda row: tuple(restock.get(row.id, ()))):
            found.setdefault(refund.payment_id, []).append(refund)
        return found

    async def _restock(self, refund_ids: Collection[UUID]) -> Mapping[UUID, Sequence[RestockLine]]:
        if not refund_ids:
            return {}
        columns = (refund_lines.c.refund_id, refund_lines.c.product_id, products.c.sku, refund_lines.c.quantity)
        statement = select(*columns).join_from(refund_lines, products).order_by(products.c.sku)
        lines: dict[UUID, list[RestockLine]] = {}
        rows = (await self._connection.execute(statement.where(refund_lines.c.refund_id.in_(refund_ids)))).all()
        for row, line in zip(rows, _RESTOCK.all(rows), strict=True):
            lines.setdefault(row.refund_id, []).append(line)
        return lines


class PaymentRepository(PaymentReader, Repository):
    """Payments and their refunds; whoever changes them has locked their order."""

    async def add(self, payment: Payment) -> None:
        customer = select(orders.c.customer_id).where(orders.c.id == payment.order_id).scalar_subquery()
        values = dict(zip(_PAYMENT, _NEW(payment), strict=True))
        await self._connection.execute(insert(payments).values(values | {"customer_id": customer}))

    async def change(self, changed: Sequence[Payment]) -> None:
        """Stores what became of payments; not their refunds."""
        if not changed:
            return
        await self._connection.execute(_CHANGE, json_parameter(_CHANGEABLE, map(_CHANGED, changed)))

    async def add_refunds(self, new: Sequence[Refund]) -> None:
        """Adds refunds with the goods that came back."""
        if not new:
            return
        await self._connection.execute(_ADD_REFUNDS, json_parameter(_REFUND, map(_NEW_REFUND, new)))
        rows = [(refund.id, line.product_id, line.quantity) for refund in new for line in refund.restock]
        if rows:
            await self._connection.execute(_ADD_REFUND_LINES, json_parameter(_LINE, rows))

    async def change_refunds(self, changed: Sequence[Refund]) -> None:
        """Stores what became of refunds."""
        if not changed:
            return
        await self._connection.execute(
            _CHANGE_REFUNDS, json_parameter(_REFUND_CHANGEABLE, map(_CHANGED_REFUND, changed))
        )


def _conditions(wanted: PaymentFilter) -> Iterator[Any]:
    if wanted.order_id is not None:
        yield payments.c.order_id == wanted.order_id
    if wanted.customer_id is not None:
        yield payments.c.customer_id == wanted.customer_id
    if wanted.state is not None:
        yield payments.c.state == wanted.state
