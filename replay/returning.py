"""Returned goods: restocked and refunded."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal

from backroom.commerce.v1.inventory_service_pb2 import AdjustStockRequest
from backroom.commerce.v1.payment_service_pb2 import GetPaymentRequest
from backroom.commerce.v1.payments_pb2 import Payment, Refund, RefundState
from backroom_client import AsyncBackroom
from replay import plan
from replay.calling import Calls, Step
from replay.figures import UnexpectedAnswer, exact_amount
from replay.returns import GoodsBack


class Returning:
    """Books returns with the payments of their orders."""

    def __init__(self, client: AsyncBackroom, calls: Calls) -> None:
        self._client = client
        self._calls = calls
        self._pending: dict[str, dict[str, str]] = {}
        """By payment: the refunds that wait, and their descriptions."""
        self._paid_back = Decimal(0)

    async def book(self, goods: Sequence[GoodsBack], payments: Mapping[str, Payment]) -> Decimal:
        """Returns what was refunded, once the provider has done so; `payments` are by the orders' invoices."""
        self._calls.progress.begin(Step.RETURN, len(goods))

        async def begin(back: GoodsBack) -> bool:
            return await self._begin(back, payments.get(back.order))

        await self._calls.settle("refunds", goods, begin, self._count_pending)
        return self._paid_back

    async def _begin(self, back: GoodsBack, payment: Payment | None) -> bool:
        """Whether it is to be waited for."""
        which = f"return {back.invoice} of order {back.order}"
        if payment is None:
            self._calls.refuse("return", which, "ORDER_NOT_PAID", "the order was not paid")
            return False
        if back.amount:
            return await self._refund(which, back, payment.payment_id)
        await self._put_back(which, back)
        return False

    async def _refund(self, which: str, back: GoodsBack, payment_id: str) -> bool:
        request = plan.refund_request(back, payment_id)
        answer = await self._calls.change("return", which, lambda: self._client.payments.RefundPayment(request))
        if answer is None:
            return False
        if not answer.payment.refunds:
            raise UnexpectedAnswer(f"{which} was answered without a refund")
        # Oldest first; the response shows the payment as it was when the refund was requested.
        self._pending.setdefault(payment_id, {})[answer.payment.refunds[-1].refund_id] = which
        return True

    async def _put_back(self, which: str, back: GoodsBack) -> None:
        """Restocks goods that were free, without a refund."""
        for request in plan.goods_back_requests(back):
            await self._calls.change("return", which, self._adjusting(request))

    def _adjusting(self, request: AdjustStockRequest) -> Callable[[], Awaitable[object]]:
        return lambda: self._client.inventory.AdjustStock(request)

    async def _count_pending(self) -> int:
        await self._calls.concurrently(self._check, list(self._pending))
        return sum(map(len, self._pending.values()))

    async def _check(self, payment_id: str) -> None:
        request = GetPaymentRequest(payment_id=payment_id)
        answer = await self._calls.with_retries(lambda: self._client.payments.GetPayment(request))
        pending = self._pending[payment_id]
        for refund in answer.payment.refunds:
            if refund.refund_id in pending and refund.state != RefundState.REFUND_STATE_PENDING:
                self._settle(pending.pop(refund.refund_id), refund)
        if not pending:
            del self._pending[payment_id]

    def _settle(self, which: str, refund: Refund) -> None:
        if refund.state == RefundState.REFUND_STATE_SUCCEEDED:
            self._paid_back += exact_amount(refund.amount)
        else:
            self._calls.refuse("return", which, "REFUND_FAILED", "the provider refused to pay it back")
