"""The jobs that commerce leaves behind: all of one payment run one after the other."""

from uuid import UUID

from storage.commerce.records import Refund
from storage.frame.records import Job

PAY = "commerce.pay"
REFUND = "commerce.refund"
TAKE_EVENT = "commerce.take_payment_event"


def pay_job(payment_id: UUID) -> Job:
    """Continues a payment, from whatever state it is in."""
    return Job(PAY, {"payment_id": str(payment_id)}, lock=str(payment_id))


def refund_job(refund: Refund) -> Job:
    """Has a refund paid back."""
    return Job(REFUND, {"refund_id": str(refund.id)}, lock=str(refund.payment_id))
