"""Which payments a caller may create, confirm and refund."""

from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest

from server.commerce.errors import RefundNotPayable, TooManyPayments
from server.commerce.providers.configured import Providers
from server.commerce.providers.stripe import StripeProvider
from server.commerce.rules.payments import MAX_PAYMENTS, RefundRequest, new_payment, new_refund
from storage.commerce.records import Payment, PaymentState, Price
from tests.commerce.values import CUSTOMER, NOW, order, product

ORDER = order((product("TEA"), 2))


def payment(**rest: object) -> Payment:
    return replace(new_payment(ORDER, [], uuid4(), CUSTOMER, "stripe", "", NOW), **rest)  # type: ignore[arg-type]


def test_the_failed_payments_of_an_order_are_bounded() -> None:
    """An attacker with stolen cards tries many; the last allowed one can still start."""
    failed = [payment(state=PaymentState.FAILED) for _ in range(MAX_PAYMENTS)]
    assert new_payment(ORDER, failed[1:], uuid4(), CUSTOMER, "stripe", "", NOW).state is PaymentState.PENDING
    with pytest.raises(TooManyPayments) as raised:
        new_payment(ORDER, failed, uuid4(), CUSTOMER, "stripe", "", NOW)
    assert raised.value.metadata == {"most": "20"}


@pytest.mark.parametrize(
    ("currency", "amount", "taken"),
    [
        ("GBP", "0.01", True),
        ("GBP", "0.001", False),
        ("JPY", "0.5", False),
        ("JPY", "1", True),
        ("KWD", "0.005", False),
    ],
)
async def test_a_refund_that_stripe_cannot_make_is_refused_when_requested(
    currency: str, amount: str, *, taken: bool
) -> None:
    """It used to be accepted, and failed a moment later; a provider that is no longer configured is not checked."""
    provider = StripeProvider("sk_test_none")
    providers = Providers({"stripe": provider}, "stripe")
    captured = payment(state=PaymentState.CAPTURED, captured=Decimal(100), amount=Price(Decimal(100), currency))
    ask = RefundRequest(captured.id, Price(Decimal(amount), currency), "", {})

    def asked(name: str) -> Decimal:
        return new_refund(captured, ORDER, ask, {}, uuid4(), NOW, lambda sum_: providers.payable(name, sum_)).amount

    assert asked("another") == Decimal(amount)
    if taken:
        assert asked("stripe") == Decimal(amount)
    else:
        with pytest.raises(RefundNotPayable) as raised:
            asked("stripe")
        assert raised.value.metadata == {"amount": amount, "currency": currency}
    await provider.close()
