from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.commerce.errors import PaymentNotFound
from server.commerce.providers.port import PaymentReport
from server.commerce.rules.settling import ReportProcessor, Settled, Settlement, completes
from server.commerce.service.deferring import pay_job, refund_job
from server.frame.errors import Refusal
from storage.commerce.records import Order, Payment, PaymentState, RefundState
from storage.commerce.store import CommerceStore, CommerceTransaction
from storage.frame.records import AuditEntry, ChangeContext


@dataclass(frozen=True, slots=True)
class Reported:
    """An ask to take up what a provider reports."""

    provider: str
    report: PaymentReport
    context: ChangeContext
    """Who asks: a caller, or a job of ours."""
    event_id: str | None = None
    """Which of the provider's webhooks told it; None where we asked."""
    driven: bool = False
    """Whether the asker goes on with the payment by itself; otherwise a job does."""


class Settling:
    """Takes up what providers report, each effect once, whoever tells it and however often."""

    def __init__(self, store: CommerceStore, now: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id

    async def settle(self, requests: Sequence[Reported]) -> Sequence[Settled | Refusal]:
        """Takes up reports in the order they came, all in one transaction; PaymentNotFound for one that is not ours."""
        now = self._now()
        async with self._store.transaction() as tx:
            found = await _find(tx, requests)
            orders = await tx.orders.lock_many({order_id for _, order_id in found.values()})
            payments = await tx.payments.find_of_orders(orders)
            stock_items = await tx.stock.lock_by_id(_products(requests, found, payments, orders))
            processor = ReportProcessor(payments, orders, list(stock_items.values()), self._new_id, now)
            answers: list[Settled | Refusal] = []
            entries: list[AuditEntry] = []
            for place, request in enumerate(requests):
                if place not in found:
                    unknown = str(request.report.payment_id or request.report.provider_id)
                    answers.append(PaymentNotFound(payment_id=unknown))
                    continue
                settled = processor.apply(found[place][0], request.report)
                answers.append(settled)
                entries += [request.context.entry(resource) for resource in settled.touched]
            await store(tx, processor.settlement)
            await tx.audit.record(entries)
            await tx.jobs.defer([*map(pay_job, _left_to_jobs(requests, answers, payments))])
            for request in requests:
                if request.event_id is not None:
                    await tx.inbox.finish(request.provider, request.event_id, now)
        return answers


async def store(tx: CommerceTransaction, settlement: Settlement) -> None:
    """Stores all that follows, with the jobs that let go of money and pay it back."""
    await tx.payments.change(list(settlement.payments.values()))
    await tx.payments.add_refunds(list(settlement.new_refunds.values()))
    await tx.payments.change_refunds(list(settlement.changed_refunds.values()))
    await tx.orders.change(list(settlement.orders.values()))
    await tx.stock.move(settlement.moves)
    await tx.events.publish(settlement.events)
    pending = [each for each in settlement.new_refunds.values() if each.state is RefundState.PENDING]
    refunds = [refund_job(refund) for refund in pending if refund.provider_id is None]
    await tx.jobs.defer([*refunds, *map(pay_job, settlement.unwanted)])


async def _find(tx: CommerceTransaction, requests: Sequence[Reported]) -> Mapping[int, tuple[UUID, UUID]]:
    """The payment and the order that each report is of, by the ask's place; not those that are of none of ours."""
    found: dict[int, tuple[UUID, UUID]] = {}
    for provider in {request.provider for request in requests}:
        places = [place for place, request in enumerate(requests) if request.provider == provider]
        reports = [requests[place].report for place in places]
        ids = {report.payment_id for report in reports if report.payment_id}
        known = await tx.payments.find_reported(provider, ids, {report.provider_id for report in reports})
        by_id = {payment_id: (payment_id, order_id) for payment_id, order_id, _ in known}
        by_provider_id = {provider_id: (payment_id, order_id) for payment_id, order_id, provider_id in known}
        for place, report in zip(places, reports, strict=True):
            ours = by_id.get(report.payment_id) if report.payment_id else by_provider_id.get(report.provider_id)
            if ours is not None:
                found[place] = ours
    return found


def _products(
    requests: Sequence[Reported],
    found: Mapping[int, tuple[UUID, UUID]],
    payments: Mapping[UUID, Payment],
    orders: Mapping[UUID, Order],
) -> set[UUID]:
    """The products whose stock may move: those of the orders that a report may pay."""
    paid = {
        order_id
        for place, (payment_id, order_id) in found.items()
        if completes(payments[payment_id], requests[place].report)
    }
    return {line.product_id for order_id in paid for line in orders[order_id].lines}


def _left_to_jobs(
    requests: Sequence[Reported], answers: Sequence[Settled | Refusal], before: Mapping[UUID, Payment]
) -> set[UUID]:
    """The payments that are authorized now, and that nobody goes on with yet."""
    left = set()
    for request, answer in zip(requests, answers, strict=True):
        if isinstance(answer, Settled) and answer.payment.state is PaymentState.AUTHORIZED:
            new = before[answer.payment.id].state is not PaymentState.AUTHORIZED
            if new and not request.driven:
                left.add(answer.payment.id)
    return left
