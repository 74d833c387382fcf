"""What a replay sends, and the figures that it counts from the responses."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import protovalidate
import pytest
from google.type.money_pb2 import Money
from hypothesis import given, settings
from hypothesis import strategies as st

from backroom.commerce.v1 import orders_pb2
from backroom.commerce.v1.stock_pb2 import StockReason
from replay.dataset import Dataset, Line, NotReplayed, Order, WriteOff, first_day
from replay.figures import Figures, Tally, UnexpectedAnswer, placed_lines
from replay.plan import (
    goods_back_requests,
    imports,
    money,
    order_request,
    payment_request,
    receipts,
    refund_request,
    write_off_request,
)
from replay.returns import GoodsBack, match

MORNING = datetime(2010, 12, 1, 8, 26)
TEA, MUG = Line("TEA", "", 2, Decimal("4.25")), Line("MUG", "A MUG", 3, Decimal("0.001"))
NAMED_TEA = Line("TEA", "TEA SET", 1, Decimal("3.95"))
SHOP = Dataset(
    orders=(
        Order("1", MORNING, "17850.0", "EIRE", (TEA, MUG, NAMED_TEA)),
        Order("2", MORNING, "", "EIRE", (MUG,)),
    ),
    write_offs=(
        WriteOff("1", 4, "MUG", "broken", 1),
        WriteOff("3", 1, "JUG", "lost", 5),
        WriteOff("3", 2, "JUG", "lost", 5),
    ),
    returns=(),
    not_replayed=NotReplayed(0, 0),
    digest="d1",
)


BACK = GoodsBack("C4", "1", Decimal("4.253"), {"MUG": 3, "TEA": 1})


def test_each_product_is_imported_once_with_its_first_name_and_first_price() -> None:
    """A name may come later than the price; a write-off's description is used only if there is no other."""
    products = [request.product for request in imports(SHOP)]
    assert [(product.sku, product.name) for product in products] == [
        ("TEA", "TEA SET"),
        ("MUG", "A MUG"),
        ("JUG", "lost"),
    ]
    assert [product.price for product in products] == [money(Decimal(text)) for text in ("4.25", "0.001", "0")]


def test_stock_is_received_for_sales_and_write_offs() -> None:
    """One request per product."""
    asked = {request.sku: request.delta for request in receipts(SHOP)}
    assert asked == {"TEA": 3, "MUG": 7, "JUG": 10}
    assert {request.reason for request in receipts(SHOP)} == {StockReason.STOCK_REASON_RECEIVED}


def test_an_order_is_sent_with_its_invoice_number_its_customer_and_its_prices() -> None:
    """Lines are unchanged and in order, even if two name one product."""
    request = order_request(SHOP.orders[0])
    assert (request.reference, request.customer_id) == ("1", "17850.0")
    assert [(line.sku, line.quantity) for line in request.lines] == [("TEA", 2), ("MUG", 3), ("TEA", 1)]
    assert request.lines[1].unit_price == Money(currency_code="GBP", nanos=1_000_000)
    assert order_request(SHOP.orders[1]).customer_id == ""


def test_a_return_is_sent_with_its_money_and_its_goods() -> None:
    """One refund per order; free goods are returned without one, one product at a time."""
    refund = refund_request(BACK, "p1")
    assert (refund.payment_id, refund.amount) == ("p1", money(Decimal("4.253")))
    assert [(item.sku, item.quantity) for item in refund.restock] == [("MUG", 3), ("TEA", 1)]
    asked = list(goods_back_requests(BACK))
    assert [(request.sku, request.delta) for request in asked] == [("MUG", 3), ("TEA", 1)]
    assert {request.reason for request in asked} == {StockReason.STOCK_REASON_RETURNED}


def test_a_second_replay_sends_identical_requests() -> None:
    """The same ids and the same content: the server answers, and changes nothing."""
    again = replace(SHOP)
    assert list(imports(again)) == list(imports(SHOP))
    assert list(receipts(again)) == list(receipts(SHOP))
    assert [order_request(order) for order in again.orders] == [order_request(order) for order in SHOP.orders]


def test_another_selection_has_its_own_stock_and_shares_its_orders_and_write_offs() -> None:
    """The first day and the year both hold the first day's orders, and place and write off once."""
    other = replace(SHOP, digest="d2")
    assert not {each.request_id for each in receipts(SHOP)} & {each.request_id for each in receipts(other)}
    assert not {each.request_id for each in imports(SHOP)} & {each.request_id for each in imports(other)}
    assert order_request(SHOP.orders[0]) == order_request(other.orders[0])
    assert write_off_request(SHOP.write_offs[0]) == write_off_request(other.write_offs[0])


def test_every_change_has_a_request_id_of_its_own() -> None:
    """Two equal rows of one invoice are two write-offs."""
    ids = [request.request_id for request in receipts(SHOP)]
    ids += [order_request(order).request_id for order in SHOP.orders]
    ids += [write_off_request(lost).request_id for lost in SHOP.write_offs]
    ids += [payment_request(order.invoice, "o1").request_id for order in SHOP.orders]
    for back in (BACK, replace(BACK, order="2"), replace(BACK, invoice="C5")):
        ids += [refund_request(back, "p1").request_id, *(each.request_id for each in goods_back_requests(back))]
    assert len(set(ids)) == len(ids) == 8 + 2 + 9


def test_the_included_day_satisfies_the_contract() -> None:
    """Each request is within the contract's bounds."""
    day = first_day()
    requests = [*imports(day), *receipts(day), *map(order_request, day.orders), *map(write_off_request, day.write_offs)]
    some_id = str(UUID(int=1))
    for back in match(day.orders, day.returns).goods_back():
        requests += [refund_request(back, some_id), *goods_back_requests(back)]
    for request in [*requests, *(payment_request(order.invoice, some_id) for order in day.orders)]:
        protovalidate.validate(request)


def test_figures_are_counted_from_the_responses() -> None:
    """Amounts are added exactly, and a product counts once."""
    tally = Tally()
    for nanos in (10_000_000, 1_000_000):
        amount = Money(currency_code="GBP", units=2, nanos=nanos)
        line = orders_pb2.OrderLine(sku="TEA", quantity=3, amount=amount)
        tally.add(placed_lines(orders_pb2.Order(lines=[line, line])))
    assert tally.figures() == Figures(2, 4, 12, Decimal("8.022"), 1)


def test_an_amount_in_another_currency_is_not_added() -> None:
    """Pounds and euros have no common sum."""
    line = orders_pb2.OrderLine(sku="TEA", quantity=3, amount=Money(currency_code="EUR", units=2))
    with pytest.raises(UnexpectedAnswer, match="'EUR'"):
        placed_lines(orders_pb2.Order(lines=[line]))


@settings(deadline=None)
@given(st.decimals(0, 1_000_000_000, places=9))
def test_money_keeps_every_decimal(amount: Decimal) -> None:
    """Out to the wire and back."""
    line = orders_pb2.OrderLine(amount=money(amount))
    assert placed_lines(orders_pb2.Order(lines=[line])) == [("", 0, amount)]
