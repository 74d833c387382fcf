from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

from server.commerce.providers.port import PaymentReport
from server.commerce.rules import orders, settling
from server.commerce.rules import payments as rules
from server.commerce.rules.inventory import Ledger
from server.commerce.rules.settling import Settlement
from server.commerce.service.answers import PAYMENT
from server.commerce.service.deferring import pay_job
from server.commerce.service.settling import store
from server.frame.caller import Caller
from server.frame.repeating import once
from storage.commerce.records import Order, Payment, PaymentFilter, Price, StockReason
from storage.commerce.store import CommerceStore, CommerceTransaction
from storage.frame.records import ChangeContext

NO_PROVIDER = "none"
"""The provider of a payment of nothing, which nobody need be asked for."""


class Payments:
    """Money for orders, from the first ask to the last refund."""

    def __init__(
        self,
        store: CommerceStore,
        provider: str | None,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        payable: Callable[[str, Price], bool] = lambda _name, _amount: True,
    ) -> None:
        """`provider` is the one that new payments are made with; None where there is none.

        `payable` is whether a provider, by its name, can pay an amount.
        """
        self._store = store
        self._provider = provider
        self._now = now
        self._new_id = new_id
        self._payable = payable

    async def create(self, caller: Caller, order_id: UUID, method: str, context: ChangeContext) -> Payment:
        """Begins to pay an order.

        Raises OrderNotFound, OrderStateConflict, PaymentExists, PaymentProviderNotConfigured, and TooManyPayments where
        so many of the order have failed.
        """

        async def act(tx: CommerceTransaction) -> Payment:
            order = orders.visible(await tx.orders.lock(order_id), caller, order_id)
            others = list((await tx.payments.find_of_orders([order_id])).values())
            provider = self._provider if order.total.amount else NO_PROVIDER
            new = rules.new_payment(order, others, self._new_id(), caller, provider, method, self._now())
            if provider == NO_PROVIDER:
                return await self._pay_nothing(tx, order, new, context)
            await tx.payments.add(new)
            await tx.jobs.defer([pay_job(new.id)])
            await tx.audit.record([context.entry(f"payment/{new.id}")])
            return new

        return await once(self._store, context, PAYMENT, act, None)

    async def get(self, caller: Caller, payment_id: UUID) -> Payment:
        """The payment with its refunds; raises PaymentNotFound."""
        async with self._store.snapshot_reading() as reading:  # or a refund is told as paid, and its sum is not
            payment = await reading.payments.find(payment_id)
            order = await reading.orders.find(payment.order_id) if payment else None
            return rules.visible(payment, order, caller, payment_id)

    async def list_latest(
        self, caller: Caller, wanted: PaymentFilter, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Payment]:
        """Payments without their refunds, latest first."""
        allowed = replace(wanted, customer_id=orders.customer_to_list(None, caller))
        async with self._store.reading() as reading:
            return await reading.payments.list_latest(allowed, before=before, limit=limit)

    async def refund(self, caller: Caller, wanted: rules.RefundRequest, context: ChangeContext) -> Payment:
        """Begins to pay back, and puts goods back at once.

        Raises PaymentNotFound, PaymentStateConflict, CurrencyMismatch, RefundTooLarge, RefundNotPayable,
        RestockTooLarge.
        """

        async def act(tx: CommerceTransaction) -> Payment:
            found = await tx.payments.find(wanted.payment_id)
            order = await tx.orders.lock(found.order_id) if found else None
            # Read again: what stands is what stands once the order is locked.
            found = await tx.payments.find(wanted.payment_id) if order else None
            payment = rules.visible(found, order, caller, wanted.payment_id)
            assert order is not None  # noqa: S101 - it is visible
            return await self._refund(tx, payment, order, wanted, caller)

        return await once(self._store, context, PAYMENT, act, f"payment/{wanted.payment_id}")

    async def _refund(
        self,
        tx: CommerceTransaction,
        payment: Payment,
        order: Order,
        refund_request: rules.RefundRequest,
        caller: Caller,
    ) -> Payment:
        now = self._now()
        returned = await tx.payments.count_returned([order.id])
        payable = partial(self._payable, payment.provider)
        refund = rules.new_refund(payment, order, refund_request, returned, self._new_id(), now, payable)
        stock_items = await tx.stock.lock_by_id({line.product_id for line in refund.restock})
        ledger = Ledger(stock_items.values(), now)
        ledger.book(order, StockReason.RETURNED, caller.account_id, refund_request.restock)
        changed = rules.with_refund(payment, refund, now)
        await store(tx, Settlement({changed.id: changed}, {refund.id: refund}, moves=ledger.moves))
        return changed

    async def _pay_nothing(
        self, tx: CommerceTransaction, order: Order, new: Payment, context: ChangeContext
    ) -> Payment:
        """An order of nothing is paid as it is asked for: its stock moves in this transaction."""
        await tx.payments.add(new)
        stock_items = await tx.stock.lock_by_id({line.product_id for line in order.lines})
        processor = settling.ReportProcessor(
            {new.id: new}, {order.id: order}, list(stock_items.values()), self._new_id, self._now()
        )
        settled = processor.apply(new.id, PaymentReport(new.id, str(new.id), new.amount.currency))
        await store(tx, processor.settlement)
        await tx.audit.record([context.entry(resource) for resource in processor.settlement.touched])
        return settled.payment
