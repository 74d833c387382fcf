from uuid import UUID

from backroom.commerce.v1 import payment_service_pb2 as pb
from backroom.commerce.v1 import payment_service_pb2_grpc
from server.commerce import messages
from server.commerce.service import Paying, Payments
from server.frame.call import Call
from server.frame.paging import page_of


class PaymentServicer(payment_service_pb2_grpc.PaymentServiceServicer):
    def __init__(self, payments: Payments, paying: Paying) -> None:
        self._payments = payments
        self._paying = paying

    async def CreatePayment(self, request: pb.CreatePaymentRequest, call: Call) -> pb.CreatePaymentResponse:
        change = call.change_context(request)
        wanted = request.payment
        payment = await self._payments.create(call.caller, UUID(wanted.order_id), wanted.method, change)
        return pb.CreatePaymentResponse(payment=messages.payment(payment))

    async def ConfirmPayment(self, request: pb.ConfirmPaymentRequest, call: Call) -> pb.ConfirmPaymentResponse:
        payment = await self._paying.confirm(call.caller, UUID(request.payment_id), call.change_context(request))
        return pb.ConfirmPaymentResponse(payment=messages.payment(payment))

    async def GetPayment(self, request: pb.GetPaymentRequest, call: Call) -> pb.GetPaymentResponse:
        payment = await self._payments.get(call.caller, UUID(request.payment_id))
        return pb.GetPaymentResponse(payment=messages.payment(payment))

    async def ListPayments(self, request: pb.ListPaymentsRequest, call: Call) -> pb.ListPaymentsResponse:
        page = page_of(request)
        found = await self._payments.list_latest(
            call.caller,
            messages.payment_filter(request),
            before=page.after,
            limit=page.limit,
        )
        payments, next_page_token = page.of(found, messages.payment)
        return pb.ListPaymentsResponse(payments=payments, next_page_token=next_page_token)

    async def RefundPayment(self, request: pb.RefundPaymentRequest, call: Call) -> pb.RefundPaymentResponse:
        change = call.change_context(request)
        payment = await self._payments.refund(call.caller, messages.refund_request(request), change)
        return pb.RefundPaymentResponse(payment=messages.payment(payment))
