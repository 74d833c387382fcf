"""What commerce has of a person: orders and payments, of which the record keeps ids, lines, amounts and times."""

from sqlalchemy import select

from storage.commerce.tables import order_lines, orders, payments, refunds
from storage.personal_data import JsonOwner, OwnedRows, PersonalDataRules

PERSONAL_DATA = PersonalDataRules(
    rows=(
        OwnedRows(
            kind="order",
            table=orders,
            owned=lambda person: orders.c.customer_id == person.text,
            exported=(
                *("id", "reference", "customer_id", "placed_by", "state", "line_count", "unit_count"),
                *("total", "currency", "cancel_reason", "create_time", "update_time"),
            ),
            erased={"cancel_reason": ""},
        ),
        # A reference that a service gave is the business's own number; one that the person gave may be any text.
        OwnedRows(
            kind="own_reference",
            table=orders,
            owned=lambda person: (orders.c.customer_id == person.text) & (orders.c.placed_by == person.id),
            erased={"reference": None},
        ),
        OwnedRows(
            kind="order_line",
            table=order_lines,
            owned=lambda person: order_lines.c.order_id.in_(
                select(orders.c.id).where(orders.c.customer_id == person.text)
            ),
            exported=("order_id", "position", "product_id", "quantity", "unit_price"),
        ),
        OwnedRows(
            kind="payment",
            table=payments,
            owned=lambda person: payments.c.customer_id == person.text,
            exported=(
                *("id", "order_id", "provider", "provider_id", "method", "state", "amount", "currency"),
                *("authorized", "captured", "refunded", "failure", "create_time", "update_time"),
            ),
            # The secret opens the provider's page, which may show who pays.
            erased={"client_secret": "", "failure": ""},
        ),
        OwnedRows(
            kind="refund",
            table=refunds,
            owned=lambda person: refunds.c.payment_id.in_(
                select(payments.c.id).where(payments.c.customer_id == person.text)
            ),
            exported=("id", "payment_id", "state", "amount", "reason", "note", "create_time", "update_time"),
            erased={"note": ""},
        ),
    ),
    owners=(
        JsonOwner("customer_id", frozenset({"cancel_reason", "note", "client_secret", "failure"})),
        JsonOwner("placed_by", frozenset({"reference"})),
    ),
)
