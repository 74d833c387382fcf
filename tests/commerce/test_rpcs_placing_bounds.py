"""PlaceOrder, over the wire: fields out of bounds, and repeated orders."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import grpc
from google.type import money_pb2

from backroom.commerce.v1 import catalog_service_pb2, orders_pb2
from backroom.commerce.v1 import order_service_pb2 as pb
from tests.commerce.books import count
from tests.commerce.goods import ask, cancelled, draft, found, placed, pounds, raw, receipt, stock_of, stocked
from tests.fixtures.servers import Api, Running, refusal
from tests.invariants import broken


def line(**rest: Any) -> pb.LineItem:
    return pb.LineItem(**{"sku": "A", "quantity": 1, **rest})


OUT_OF_BOUNDS: list[tuple[str, pb.PlaceOrderRequest]] = [
    ("lines", pb.PlaceOrderRequest()),
    ("lines", pb.PlaceOrderRequest(lines=[line()] * 2001)),
    *(("lines[0].quantity", ask(("A", quantity))) for quantity in (0, -1, 10**6 + 1, 2**63 - 1, -(2**63))),
    ("lines[1].sku", ask(("A", 1), ("", 1))),
    ("lines[1].sku", ask(("A", 1), ("A" * 65, 1))),
    ("lines[1].sku", ask(("A", 1), ("A\0", 1))),
    ("reference", ask(("A", 1), reference="r" * 65)),
    ("reference", ask(("A", 1), reference="r\0")),
    ("customer_id", ask(("A", 1), customer_id="c" * 65)),
    ("customer_id", ask(("A", 1), customer_id="\0")),
    *(
        (field, ask(("A", 1), **{field: character * 64}))
        for field in ("reference", "customer_id")
        for character in ("\N{DEVANAGARI LETTER QA}", "\N{MUSICAL SYMBOL SIXTEENTH NOTE}", "\u0344")
    ),
    ("request_id", ask(("A", 1), request_id="1")),
    ("request_id", ask(("A", 1), request_id=uuid4().hex)),
    *(
        ("lines[1].unit_price", pb.PlaceOrderRequest(lines=[line(), line(unit_price=price)]))
        for price in (pounds(-1), pounds(0, -1), pounds(10**9, 1), pounds(0, 10**9), money_pb2.Money(units=1))
    ),
]


async def filled(api: Api, skus: Sequence[str]) -> None:
    """This many products with ten pieces each."""
    products = [catalog_service_pb2.ImportProductsRequest(product=draft(sku)) for sku in skus]
    await api.catalog.ImportProducts(iter(products))
    await asyncio.gather(*(api.inventory.AdjustStock(receipt(sku, 10)) for sku in skus))


async def test_a_field_out_of_bounds_is_named_by_its_path(server: Running, service: Api) -> None:
    """The first twenty of many, so that a response stays small, and the first of many lines; nothing is placed."""
    await stocked(service, "A", 10)
    for path, request in OUT_OF_BOUNDS:
        refused = await refusal(service.orders.PlaceOrder(request))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"), path
        assert [*refused.fields] == [path]
    assert await count(server.database, "orders") == 0
    assert await stock_of(service, "A") == (10, 0, 10)
    refused = await refusal(placed(service, *[("", 0)] * 100))
    assert len(refused.fields) == 20
    assert {"lines[0].sku", "lines[0].quantity", "lines[9].quantity"} <= {*refused.fields}
    refused = await refusal(placed(service, *[("", 0)] * 2000))
    assert [*refused.fields] == ["lines[0].sku"]


async def test_the_bounds_themselves_are_allowed(server: Running, service: Api) -> None:
    """2,000 lines of 200 products are returned in order; the longest texts, counted in characters."""
    skus = [f"{n:04}" + "~" * 60 for n in range(200)]
    await filled(service, skus)
    wanted = skus[::-1] * 10
    order = await placed(service, *((sku, 1) for sku in wanted), reference="ä" * 64, customer_id="ö" * 64)
    assert [each.sku for each in (await found(service, order.order_id)).lines] == wanted
    assert (order.reference, order.customer_id, order.line_count) == ("ä" * 64, "ö" * 64, 2000)
    assert order.total == pounds(5100)
    assert await broken(server.database) == {}


async def test_a_repeated_order_gets_the_first_answer(server: Running, service: Api) -> None:
    """Byte for byte, even after it was cancelled and the stock is gone."""
    await stocked(service, "A", 5)
    request = ask(("A", 2), ("A", 3), reference="R-1")
    first = await service.orders.PlaceOrder(request)
    assert raw(await service.orders.PlaceOrder(request)) == raw(first)
    await cancelled(service, first.order, reason="changed my mind")
    assert raw(await service.orders.PlaceOrder(request)) == raw(first)
    assert (await found(service, first.order.order_id)).state == orders_pb2.ORDER_STATE_CANCELLED
    assert await stock_of(service, "A") == (5, 0, 5)
    assert await count(server.database, "orders") == 1
    assert await broken(server.database) == {}


async def test_a_repeated_order_is_answered_even_if_it_could_not_be_placed_now(service: Api) -> None:
    """Its product is archived by now."""
    product = await stocked(service, "A", 1)
    request = ask(("A", 1))
    first = await service.orders.PlaceOrder(request)
    product.archived = True
    await service.catalog.UpdateProduct(catalog_service_pb2.UpdateProductRequest(product=product))
    assert raw(await service.orders.PlaceOrder(request)) == raw(first)


async def test_a_request_id_is_bound_to_one_content(service: Api, admin: Api) -> None:
    """Whatever else is wrong with the second; another caller's equal request_id is separate."""
    await stocked(service, "A", 10)
    request_id = str(uuid4())
    order = await placed(service, ("A", 1), request_id=request_id)
    for other in (
        ask(("A", 2), request_id=request_id),
        ask(("A", 1), ("A", 1), request_id=request_id),
        ask(("A", 1), request_id=request_id, reference="R-1"),
        ask(("A", 1), request_id=request_id, customer_id=str(service.account_id)),
        ask(("NONE", 1), ("A", 99), request_id=request_id),
    ):
        refused = await refusal(service.orders.PlaceOrder(other))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    cancel = pb.CancelOrderRequest(request_id=request_id, order_id=order.order_id)
    assert (await refusal(service.orders.CancelOrder(cancel))).reason == "REQUEST_ID_REUSED"
    assert (await placed(admin, ("A", 1), request_id=request_id)).order_id != order.order_id
    assert await stock_of(service, "A") == (10, 2, 8)


async def test_a_refused_order_may_be_tried_again(service: Api) -> None:
    """The refusal is not stored: once there is stock, the same request is placed."""
    await stocked(service, "A", 1)
    request = ask(("A", 2), reference="R-1")
    for _ in range(2):
        assert (await refusal(service.orders.PlaceOrder(request))).reason == "OUT_OF_STOCK"
    await service.inventory.AdjustStock(receipt("A", 1))
    order = (await service.orders.PlaceOrder(request)).order
    assert order.unit_count == 2
    assert (await service.orders.PlaceOrder(request)).order == order
    assert await stock_of(service, "A") == (2, 2, 0)


async def test_without_a_request_id_each_request_is_another_order(server: Running, service: Api) -> None:
    """Two equal requests are two orders."""
    await stocked(service, "A", 10)
    first = await placed(service, ("A", 1), request_id="")
    second = await placed(service, ("A", 1), request_id="")
    assert first.order_id != second.order_id
    assert await stock_of(service, "A") == (10, 2, 8)
    assert await broken(server.database) == {}


async def test_placing_orders_needs_the_permission(server: Running) -> None:
    """An account without a role and a caller without a token are refused before the order is looked at."""
    nobody = await server.sign_in()
    refused = await refusal(nobody.orders.PlaceOrder(pb.PlaceOrderRequest()))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
    assert refused.metadata == {"permission": "orders.place"}
    refused = await refusal(server.anonymous.orders.PlaceOrder(pb.PlaceOrderRequest()))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
