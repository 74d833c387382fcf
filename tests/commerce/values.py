"""Plain values of commerce, for tests of rules and repositories."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from server.commerce.rules.inventory import AdjustStock
from server.commerce.rules.orders import HOLD, Line, PlaceOrder
from server.frame.caller import Caller
from storage.commerce.records import NewMovement, Order, OrderLine, OrderState, Price, Product, StockItem, StockReason
from storage.commerce.store import COMMERCE
from storage.database import Database
from storage.frame.records import ChangeContext
from tests.fixtures.examples import examples
from tests.fixtures.roles import permissions_of

LAW = examples(120)
"""No deadline for an example, since the machine may be busy."""

NOW = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)

CUSTOMER = Caller(UUID(int=1), permissions_of(["customer"]))
STAFF = Caller(UUID(int=2), permissions_of(["staff"]))
SERVICE = Caller(UUID(int=3), permissions_of(["service"]))


def price(amount: str, currency: str = "GBP") -> Price:
    return Price(Decimal(amount), currency)


def stock_item(
    sku: str, on_hand: int, *, held: int = 0, cost: Price | None = None, archived: bool = False
) -> StockItem:
    return StockItem(uuid4(), sku, cost or price("2.55"), archived, on_hand, held)


def by_sku(stock_items: Iterable[StockItem]) -> Mapping[str, StockItem]:
    return {each.sku: each for each in stock_items}


def context_of(caller: Caller) -> ChangeContext:
    """A caller's request for a change, without a request_id."""
    return ChangeContext(caller.account_id, "test", NOW)


def place(*lines: tuple[str, int] | tuple[str, int, Price | None], caller: Caller = SERVICE, **rest: Any) -> PlaceOrder:
    """A request for an order of lines of (sku, quantity) or (sku, quantity, unit_price)."""
    items = tuple(Line(*line) if len(line) == 3 else Line(*line, None) for line in lines)
    given = {"context": context_of(caller), "order_id": uuid4(), "reference": None, "customer_id": None, **rest}
    return PlaceOrder(caller=caller, lines=items, **given)


def adjustment(sku: str, delta: int, *, note: str = "") -> AdjustStock:
    reason = StockReason.RECEIVED if delta > 0 else StockReason.WRITTEN_OFF
    return AdjustStock(SERVICE, context_of(SERVICE), sku, delta, reason, note)


def product(sku: str, **rest: Any) -> Product:
    plain = Product(
        uuid4(), sku, f"Name of {sku}", "", price("2.55"), archived=False, version=1, create_time=NOW, update_time=NOW
    )
    return replace(plain, **rest)


def order(*lines: tuple[Product, int], **rest: Any) -> Order:
    """A pending order of CUSTOMER, at the products' own prices."""
    kept = tuple(OrderLine(each.id, each.sku, quantity, each.price.amount) for each, quantity in lines)
    plain = Order(
        id=uuid4(),
        reference=None,
        customer_id=str(CUSTOMER.account_id),
        placed_by=CUSTOMER.account_id,
        state=OrderState.PENDING,
        lines=kept,
        line_count=len(kept),
        unit_count=sum(line.quantity for line in kept),
        total=Price(sum((line.quantity * line.unit_price for line in kept), Decimal(0)), "GBP"),
        cancel_reason="",
        create_time=NOW,
        update_time=NOW,
        hold_end_time=NOW + HOLD,
    )
    return replace(plain, **rest)


def receipt(of: Product, pieces: int, *, before: int = 0, note: str = "") -> NewMovement:
    """The movement of a receipt, with this much on hand before and nothing reserved."""
    after = before + pieces
    return NewMovement(of.id, StockReason.RECEIVED, pieces, 0, after, 0, None, note, SERVICE.account_id, NOW)


async def kept(database: Database, *products: Product) -> None:
    """Stores products without stock."""
    async with database.store(COMMERCE).transaction() as tx:
        assert await tx.products.add(products) == {each.id for each in products}
