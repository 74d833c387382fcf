"""What is done with providers, behind the answers: outside of any transaction, each step under a key that we derive.

A step is requested of the provider, and what it reports is stored; after a worker dies in between, the request is
repeated under the same key, and gets the first outcome. So each step is a point at which another worker can continue.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from server.commerce.errors import PaymentNotFound, PaymentProviderNotConfigured, PaymentProviderUnavailable
from server.commerce.providers.port import PaymentProvider, PaymentReport, ProviderUnavailable
from server.commerce.rules import payments as rules
from server.commerce.rules.settling import Settled
from server.commerce.service.deferring import PAY, REFUND, TAKE_EVENT
from server.commerce.service.payments import NO_PROVIDER
from server.commerce.service.settling import Reported
from server.frame.batching import Batcher
from server.frame.caller import Caller
from storage.commerce.records import OrderState, Payment, PaymentState, RefundState
from storage.commerce.store import CommerceStore
from storage.frame.records import NOBODY, ChangeContext
from storage.timelines import Seen

_REPORT_CACHE_SECONDS = 1.0
_REPORT_CACHE_SIZE = 10_000
"""Whose last answers are kept, at least for as long as they count."""


class Paying:
    """Drives payments and refunds with their providers."""

    def __init__(
        self,
        store: CommerceStore,
        providers: Mapping[str, PaymentProvider],
        settling: Batcher[Reported, Settled],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._providers = providers
        self._settling = settling
        self._now = now
        self._reports: dict[UUID, tuple[float, asyncio.Task[PaymentReport]]] = {}

    async def pay(self, payment_id: UUID) -> None:
        """Takes a payment as far as it goes by itself: secures the money and takes it, or lets it go for a dead order.

        Raises ProviderUnavailable, to be tried again.
        """
        primaries = self._store.primaries_seen
        current = await self._find(payment_id)
        while current is not None and (report := await self._step(current, primaries)) is not None:
            before, provider = current.payment, current.payment.provider
            current = await self._settling.submit(Reported(provider, report, self._job(PAY), driven=True))
            if current.payment == before:
                raise ProviderUnavailable("the provider has not carried out the request yet")

    async def refund(self, refund_id: UUID) -> None:
        """Has a refund paid back; raises ProviderUnavailable, to be tried again."""
        async with self._store.reading() as reading:
            payment_id = await reading.payments.find_refund(refund_id)
            payment = await reading.payments.find(payment_id) if payment_id else None
        if payment is None:
            return
        refund = next(each for each in payment.refunds if each.id == refund_id)
        if refund.state is not RefundState.PENDING or payment.provider_id is None:
            return
        amount = replace(payment.amount, amount=refund.amount)
        provider = self._provider(payment)
        report = await provider.refund(payment.provider_id, refund.id, amount, key=f"{refund.id}/refund")
        await self._settling.submit(Reported(payment.provider, report, self._job(REFUND), driven=True))

    async def confirm(self, caller: Caller, payment_id: UUID, context: ChangeContext) -> Payment:
        """Queries the provider for a payment's state, and applies it; what has ended by our records is answered from
        them.

        Raises PaymentNotFound, PaymentProviderNotConfigured, PaymentProviderUnavailable.
        """
        primaries = self._store.primaries_seen
        async with self._store.reading() as reading:
            found = await reading.payments.find(payment_id)
            order = await reading.orders.find(found.order_id) if found else None
        payment = rules.visible(found, order, caller, payment_id)
        if payment.provider_id is None or payment.provider == NO_PROVIDER or payment.state not in rules.QUERIED:
            await self._store.wait_for_standby(primaries)
            return payment
        try:
            report = await self._reported(payment)
        except ProviderUnavailable:
            raise PaymentProviderUnavailable from None
        return (await self._settling.submit(Reported(payment.provider, report, context))).payment

    async def take_event(self, source: str, event_id: str) -> None:
        """Applies what a provider's webhook reported; nothing more where that was done before.

        Raises ValueError where it cannot be read, PaymentProviderNotConfigured.
        """
        async with self._store.reading() as reading:
            body = await reading.inbox.find(source, event_id)
        if body is None:
            return
        if source not in self._providers:
            raise PaymentProviderNotConfigured(provider=source)
        report = self._providers[source].read_event(body)
        if report is None:
            async with self._store.transaction() as tx:
                await tx.inbox.finish(source, event_id, self._now())
            return
        with suppress(PaymentNotFound):  # another shop's, on the same account of the provider's: settled as nothing
            await self._settling.submit(Reported(source, report, self._job(TAKE_EVENT), event_id))

    async def _reported(self, payment: Payment) -> PaymentReport:
        """What the provider reports of a payment, at most a second old.

        Providers bound how often a shop calls them: one customer that confirms without end would use up everybody's.
        """
        now = asyncio.get_running_loop().time()
        queried_at, task = self._reports.get(payment.id, (-_REPORT_CACHE_SECONDS, None))
        if task is None or now - queried_at >= _REPORT_CACHE_SECONDS:
            if len(self._reports) >= _REPORT_CACHE_SIZE:
                self._reports = {
                    each: kept for each, kept in self._reports.items() if now - kept[0] < _REPORT_CACHE_SECONDS
                }
            task = asyncio.create_task(self._provider(payment).find(payment.provider_id or ""))
            task.add_done_callback(lambda task: task.cancelled() or task.exception())  # its callers may be gone
            self._reports[payment.id] = (now, task)
        return await asyncio.shield(task)

    def _job(self, task: str) -> ChangeContext:
        """What is recorded of a job of ours."""
        return ChangeContext(NOBODY, task, self._now())

    def _provider(self, payment: Payment) -> PaymentProvider:
        """Raises PaymentProviderNotConfigured."""
        provider = self._providers.get(payment.provider)
        if provider is None:
            raise PaymentProviderNotConfigured(provider=payment.provider)
        return provider

    async def _find(self, payment_id: UUID) -> Settled | None:
        async with self._store.reading() as reading:
            payment = await reading.payments.find(payment_id)
            order = await reading.orders.find(payment.order_id) if payment else None
        return Settled(payment, order.state) if payment and order else None

    async def _step(self, current: Settled, primaries: Seen) -> PaymentReport | None:
        """What the provider reports of the next step; None where there is none to take."""
        payment = current.payment
        wanted = current.order_state is OrderState.PENDING
        if payment.state not in rules.OPEN:
            return None
        provider = self._provider(payment)
        if payment.provider_id is None:
            # Requested even where the order is dead by now: an earlier try may have secured the money unseen.
            # The key stays as it was first spelled: under another one the provider would take it for another payment.
            return await provider.authorize(payment.id, payment.amount, payment.method, key=f"{payment.id}/authorise")
        if not wanted:
            # Released money does not come back, and a promotion might bring the order back to life.
            await self._store.wait_for_standby(primaries)
            return await provider.void(payment.provider_id, key=f"{payment.id}/void")
        if payment.state is PaymentState.AUTHORIZED:
            return await provider.capture(payment.provider_id, payment.amount, key=f"{payment.id}/capture")
        return None  # the customer is to confirm it, and a webhook will report it
