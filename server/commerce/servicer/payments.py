from typing import Any
from uuid import UUID

from backroom.commerce.v1 import payment_service_pb2 as pb
from backroom.commerce.v1 import payment_service_pb2_grpc
from server.commerce import messages
from server.commerce.service import Paying, Payments
from server.frame.call import caller_of
from server.frame.paging import page_of
from server.frame.repeating import ask_of


class PaymentServicer(payment_service_pb2_grpc.PaymentServiceServicer):
    def __init__(self, payments: Payments, paying: Paying) -> None:
        self._payments = payments
        self._paying = paying

    async def CreatePayment(self, request: pb.CreatePaymentRequest, context: Any) -> pb.CreatePaymentResponse:
        ask = ask_of(context, request)
        wanted = request.payment
        payment = await self._payments.create(caller_of(context), UUID(wanted.order_id), wanted.method, ask)
        return pb.CreatePaymentResponse(payment=messages.payment(payment))

    async def ConfirmPayment(self, request: pb.ConfirmPaymentRequest, context: Any) -> pb.ConfirmPaymentResponse:
        payment = await self._paying.confirm(caller_of(context), UUID(request.payment_id), ask_of(context, request))
        return pb.ConfirmPaymentResponse(payment=messages.payment(payment))

    async def GetPayment(self, request: pb.GetPaymentRequest, context: Any) -> pb.GetPaymentResponse:
        payment = await self._payments.get(caller_of(context), UUID(request.payment_id))
        return pb.GetPaymentResponse(payment=messages.payment(payment))

    async def ListPayments(self, request: pb.ListPaymentsRequest, context: Any) -> pb.ListPaymentsResponse:
        page = page_of(request)
        found = await self._payments.list_latest(
            caller_of(context),
            messages.payment_filter(request),
            before=page.by_time(),
            limit=page.limit,
        )
        payments, next_page_token = page.told(found, lambda each: (each.create_time, each.id), messages.payment)
        return pb.ListPaymentsResponse(payments=payments, next_page_token=next_page_token)

    async def RefundPayment(self, request: pb.RefundPaymentRequest, context: Any) -> pb.RefundPaymentResponse:
        ask = ask_of(context, request)
        payment = await self._payments.refund(caller_of(context), messages.refund_ask(request), ask)
        return pb.RefundPaymentResponse(payment=messages.payment(payment))
