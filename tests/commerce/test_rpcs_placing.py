"""PlaceOrder, over the wire: what is placed, what is refused, and what a repeated request does."""

from datetime import timedelta
from typing import Any

import grpc
from google.type import money_pb2

from backroom.commerce.v1 import catalog_service_pb2, order_service_pb2, orders_pb2, products_pb2
from tests.commerce.books import count
from tests.commerce.goods import cancelled, created, found, placed, pounds, receipt, stock_of, stocked
from tests.fixtures.servers import Api, Running, refusal
from tests.invariants import broken

THOUSANDTH = pounds(0, 1_000_000)


def priced(sku: str, quantity: int, price: money_pb2.Money) -> order_service_pb2.LineItem:
    return order_service_pb2.LineItem(sku=sku, quantity=quantity, unit_price=price)


async def place(api: Api, *lines: order_service_pb2.LineItem, **rest: Any) -> orders_pb2.Order:
    """A request for an order of lines that may set their prices."""
    request = order_service_pb2.PlaceOrderRequest(lines=lines, **rest)
    order: orders_pb2.Order = (await api.orders.PlaceOrder(request)).order
    return order


async def test_an_order_is_placed_as_requested(server: Running, service: Api, customer: Api) -> None:
    """Its lines in order, at the catalog's prices, its total exact, and its stock reserved."""
    await stocked(service, "A", 1000, price=THOUSANDTH)
    await stocked(service, "B", 10)
    order = await placed(customer, ("B", 3), ("A", 7), ("B", 1), reference="R-1")
    assert order == orders_pb2.Order(
        order_id=order.order_id,
        reference="R-1",
        customer_id=str(customer.account_id),
        placed_by=str(customer.account_id),
        state=orders_pb2.ORDER_STATE_PENDING,
        lines=[
            orders_pb2.OrderLine(sku="B", quantity=3, unit_price=pounds(2, 550_000_000), amount=pounds(7, 650_000_000)),
            orders_pb2.OrderLine(sku="A", quantity=7, unit_price=THOUSANDTH, amount=pounds(0, 7_000_000)),
            orders_pb2.OrderLine(sku="B", quantity=1, unit_price=pounds(2, 550_000_000), amount=pounds(2, 550_000_000)),
        ],
        line_count=3,
        unit_count=11,
        total=pounds(10, 207_000_000),
        create_time=order.create_time,
        update_time=order.create_time,
        hold_end_time=order.hold_end_time,
    )
    assert order.hold_end_time.ToDatetime() - order.create_time.ToDatetime() == timedelta(minutes=15)
    assert await found(customer, order.order_id) == order
    assert (await stock_of(service, "A"), await stock_of(service, "B")) == ((1000, 7, 993), (10, 4, 6))
    assert await broken(server.database) == {}


async def test_an_order_keeps_the_prices_it_was_placed_at(service: Api) -> None:
    """A later price applies to later orders."""
    product = await stocked(service, "A", 10)
    before = await placed(service, ("A", 2))
    edit = products_pb2.Product(product_id=product.product_id, price=pounds(9))
    await service.catalog.UpdateProduct(catalog_service_pb2.UpdateProductRequest(product=edit))
    assert await found(service, before.order_id) == before
    assert (await placed(service, ("A", 2))).total == pounds(18)


async def test_the_largest_order_is_placed_with_an_exact_total(server: Running, service: Api) -> None:
    """2,000 lines of 1,000,000 pieces at the highest price, and with nine decimals."""
    await created(service, "A")
    for _ in range(4):
        await service.inventory.AdjustStock(receipt("A", 10**9))
    highest = await place(service, *[priced("A", 10**6, pounds(10**9))] * 2000)
    assert highest.total == pounds(2 * 10**18)
    assert (highest.line_count, highest.unit_count) == (2000, 2 * 10**9)
    finest = await place(service, *[priced("A", 10**6, pounds(999_999_999, 123_456_789))] * 2000)
    assert finest.total == pounds(1_999_999_998_246_913_578)
    assert {(line.amount.units, line.amount.nanos) for line in finest.lines} == {(999_999_999_123_456, 789_000_000)}
    assert await found(service, finest.order_id) == finest
    assert await stock_of(service, "A") == (4 * 10**9, 4 * 10**9, 0)
    assert await broken(server.database) == {}


async def test_lines_of_one_product_are_added_up(server: Running, service: Api) -> None:
    """Two lines that each fit alone but not together are refused (medusa#16502), at any prices."""
    await stocked(service, "A", 5)
    refused = await refusal(placed(service, ("A", 3), ("A", 3)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_STOCK")
    assert refused.preconditions == {"A": "6 wanted, 5 available"}
    lines = priced("A", 3, pounds(1)), priced("A", 3, pounds(2))
    assert (await refusal(place(service, *lines))).preconditions == {"A": "6 wanted, 5 available"}
    assert (await placed(service, ("A", 3), ("A", 2))).unit_count == 5
    assert await stock_of(service, "A") == (5, 5, 0)
    assert await count(server.database, "orders") == 1


async def test_an_order_is_placed_completely_or_not_at_all(server: Running, service: Api) -> None:
    """Each product that is short is named, and nothing is reserved of the others."""
    for sku, pieces in (("A", 5), ("B", 1), ("C", 0)):
        await stocked(service, sku, pieces)
    refused = await refusal(placed(service, ("A", 5), ("B", 2), ("C", 1)))
    assert refused.preconditions == {"B": "2 wanted, 1 available", "C": "1 wanted, 0 available"}
    assert await stock_of(service, "A") == (5, 0, 5)
    assert await count(server.database, "orders") == 0
    assert await broken(server.database) == {}


async def test_a_price_is_set_only_with_the_permission(server: Running, service: Api, customer: Api) -> None:
    """Staff may not, not even the catalog's own price or zero."""
    await stocked(service, "A", 10)
    staff = await server.sign_in("staff")
    for api in (customer, staff):
        for price in (pounds(0), pounds(2, 550_000_000)):
            refused = await refusal(place(api, priced("A", 1, price)))
            assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PRICE_NOT_PERMITTED")
    order = await place(service, priced("A", 3, THOUSANDTH), priced("A", 1, pounds(0)))
    assert order.total == pounds(0, 3_000_000)
    assert [line.unit_price for line in order.lines] == [THOUSANDTH, pounds(0)]


async def test_an_order_for_another_customer_needs_the_permission(server: Running, service: Api, customer: Api) -> None:
    """The order names the customer, who can read it, and the account that placed it."""
    await stocked(service, "A", 10)
    refused = await refusal(placed(customer, ("A", 1), customer_id="17850"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CUSTOMER_NOT_PERMITTED")
    own = str(customer.account_id)
    assert (await placed(customer, ("A", 1), customer_id=own)).customer_id == own
    staff = await server.sign_in("staff")
    order = await placed(staff, ("A", 1), customer_id=own)
    assert (order.customer_id, order.placed_by) == (own, str(staff.account_id))
    assert await found(customer, order.order_id) == order
    assert (await placed(staff, ("A", 1), customer_id="17850")).customer_id == "17850"


async def test_a_product_that_is_missing_or_archived_is_named(server: Running, service: Api) -> None:
    """By its SKU, whose case matters."""
    await stocked(service, "A", 10)
    await stocked(service, "OLD", 10, archived=True)
    refused = await refusal(placed(service, ("A", 1), ("a", 1)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "PRODUCT_NOT_FOUND")
    assert refused.metadata == {"sku": "a"}
    refused = await refusal(placed(service, ("A", 1), ("OLD", 1)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PRODUCT_ARCHIVED")
    assert refused.metadata == {"sku": "OLD"}
    assert await count(server.database, "orders") == 0


async def test_lines_in_two_currencies_are_refused(service: Api) -> None:
    """A set price counts with its own currency, and may make the order one of a single currency."""
    await stocked(service, "A", 10)
    await stocked(service, "E", 10, price=money_pb2.Money(currency_code="EUR", units=3))
    refused = await refusal(placed(service, ("A", 1), ("E", 1)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "CURRENCY_MISMATCH")
    assert refused.metadata == {"currencies": "EUR,GBP"}
    euro = money_pb2.Money(currency_code="EUR", units=1)
    order = await place(service, priced("A", 1, euro), order_service_pb2.LineItem(sku="E", quantity=1))
    assert order.total == money_pb2.Money(currency_code="EUR", units=4)


async def test_a_reference_is_unique_among_one_callers_orders(server: Running, service: Api, admin: Api) -> None:
    """The refusal names the order that has it, cancelled or not; another caller's equal reference is separate."""
    await stocked(service, "A", 10)
    first = await placed(service, ("A", 1), reference="R-1")
    refused = await refusal(placed(service, ("A", 1), reference="R-1"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REFERENCE_TAKEN")
    assert refused.metadata == {"order_id": first.order_id}
    assert (await placed(admin, ("A", 1), reference="R-1")).reference == "R-1"
    assert (await placed(service, ("A", 1), reference="r-1")).reference == "r-1"
    assert [(await placed(service, ("A", 1))).reference for _ in range(2)] == ["", ""]
    assert await count(server.database, "orders") == 5
    await cancelled(service, first)
    assert (await refusal(placed(service, ("A", 1), reference="R-1"))).metadata == {"order_id": first.order_id}


async def test_references_that_look_alike_are_one(service: Api) -> None:
    """Stored in Unicode's form NFC, however they were sent; so is the customer id, also in filters."""
    await stocked(service, "A", 10)
    composed, decomposed = "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"
    order = await placed(service, ("A", 1), reference=decomposed, customer_id=decomposed)
    assert (order.reference, order.customer_id) == (composed, composed)
    for form in (composed, decomposed):
        refused = await refusal(placed(service, ("A", 1), reference=form))
        assert (refused.reason, refused.metadata) == ("REFERENCE_TAKEN", {"order_id": order.order_id})
        listed = await service.orders.ListOrders(order_service_pb2.ListOrdersRequest(customer_id=form))
        assert [each.order_id for each in listed.orders] == [order.order_id]


async def test_a_reference_is_a_single_line(service: Api) -> None:
    """Line breaks and other control characters are refused, in it and in the customer id."""
    await stocked(service, "A", 10)
    for field in ("reference", "customer_id"):
        for character in ("\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\N{LINE SEPARATOR}", "\N{PARAGRAPH SEPARATOR}"):
            refused = await refusal(placed(service, ("A", 1), **{field: f"R{character}1"}))
            assert refused.fields == {field: "must not contain line breaks or other control characters"}
