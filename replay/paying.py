"""Payments: created order by order, and waited for, since the provider is called after the response."""

from collections.abc import Mapping

import grpc

from backroom.commerce.v1.payment_service_pb2 import CreatePaymentResponse, ListPaymentsRequest
from backroom.commerce.v1.payments_pb2 import Payment, PaymentState
from backroom_client import AsyncBackroom, refusal_of
from replay import plan
from replay.calling import Calls, Step
from replay.figures import UnexpectedAnswer

_PAGE = 1000

_NO_PROVIDER = "PAYMENT_PROVIDER_NOT_CONFIGURED"

_TAKEN = (PaymentState.PAYMENT_STATE_CAPTURED, PaymentState.PAYMENT_STATE_REFUNDED)


class _ProviderMissing(Exception):
    """The server has no payment provider."""


class Paying:
    """Pays orders."""

    def __init__(self, client: AsyncBackroom, calls: Calls) -> None:
        self._client = client
        self._calls = calls
        self._began: dict[str, Payment] = {}
        """By the order's invoice."""

    async def pay(self, placed: Mapping[str, str]) -> Mapping[str, Payment] | None:
        """Pays these orders, given by invoice and id, and waits until the payments are settled.

        Returns the payments that took the money, by invoice; None if the server has no payment provider.
        """
        self._calls.progress.begin(Step.PAY, len(placed))
        try:
            await self._calls.settle("payments", list(placed.items()), self._begin, self._count_open)
        except _ProviderMissing:
            return None
        return await self._taken()

    async def _begin(self, order: tuple[str, str]) -> bool:
        invoice, order_id = order
        request = plan.payment_request(invoice, order_id)

        async def create() -> CreatePaymentResponse:
            try:
                return await self._client.payments.CreatePayment(request)
            except grpc.aio.AioRpcError as error:
                refusal = refusal_of(error)
                if refusal is not None and refusal.reason == _NO_PROVIDER:
                    raise _ProviderMissing from None
                raise

        answer = await self._calls.change("payment", f"payment of order {invoice}", create)
        if answer is None:
            return False
        self._began[invoice] = answer.payment
        return True

    async def _count_open(self) -> int:
        # In the order of their states: a payment that moves on between the two lists is in the second.
        pending = await self._ours(PaymentState.PAYMENT_STATE_PENDING)
        authorized = await self._ours(PaymentState.PAYMENT_STATE_AUTHORIZED)
        return len(pending.keys() | authorized.keys())

    async def _taken(self) -> Mapping[str, Payment]:
        """The payments that took the money; the others are counted as refused."""
        current = await self._ours(PaymentState.PAYMENT_STATE_UNSPECIFIED)
        taken: dict[str, Payment] = {}
        for invoice, began in self._began.items():
            payment = current.get(began.payment_id)
            if payment is None:
                raise UnexpectedAnswer(f"the payment of order {invoice} is in no list")
            if payment.state in _TAKEN:
                taken[invoice] = payment
            else:
                state = PaymentState.Name(payment.state).removeprefix("PAYMENT_STATE_")
                why = payment.failure or "no money was taken"
                self._calls.refuse("payment", f"payment of order {invoice}", state, why)
        return taken

    async def _ours(self, state: PaymentState.ValueType) -> Mapping[str, Payment]:
        """The replay's payments in a state, by their ids."""
        ids = {payment.payment_id for payment in self._began.values()}
        oldest = min(map(_moment, self._began.values()), default=_moment(Payment()))
        found: dict[str, Payment] = {}
        request = ListPaymentsRequest(page_size=_PAGE, state=state)
        while True:
            page = await self._calls.with_retries(lambda: self._client.payments.ListPayments(request))
            found.update((payment.payment_id, payment) for payment in page.payments if payment.payment_id in ids)
            # Latest first: after our oldest one, none is ours.
            if not page.next_page_token or _moment(page.payments[-1]) < oldest:
                return found
            request.page_token = page.next_page_token


def _moment(payment: Payment) -> tuple[int, int]:
    return payment.create_time.seconds, payment.create_time.nanos
