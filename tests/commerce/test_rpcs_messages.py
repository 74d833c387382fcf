"""Refusals as people read them, over the wire: the message alone says what is wrong with what."""

from typing import Any
from uuid import uuid4

import grpc

from backroom.commerce.v1 import catalog_service_pb2, order_service_pb2, payment_service_pb2, payments_pb2, stock_pb2
from backroom.identity.v1 import access_service_pb2
from tests.commerce.goods import ask, created, draft, placed, pounds, receipt, stocked
from tests.contract.methods import METHODS
from tests.fixtures.servers import Api, Running, refusal, refused_by
from tests.fixtures.trading import Shop


async def test_a_field_is_named_by_its_path(service: Api) -> None:
    """Even inside a list of messages; further violations are counted."""
    wrong = await refusal(service.orders.GetOrder(order_service_pb2.GetOrderRequest(order_id="42")))
    assert wrong.message == "order_id: must be a valid UUID"
    request = ask(("A", 1), ("B", 0), ("", 1))
    wrong = await refusal(service.orders.PlaceOrder(request))
    assert wrong.message.startswith("lines[1].quantity: ")
    assert wrong.message.endswith(" (and 1 more)")
    empty = await refusal(service.orders.PlaceOrder(ask()))
    assert empty.message == "lines: must contain at least 1 item"
    nothing = await refusal(service.catalog.GetProduct(catalog_service_pb2.GetProductRequest()))
    assert nothing.message == "key: one of product_id, sku is required"
    none = await refusal(service.catalog.CreateProduct(catalog_service_pb2.CreateProductRequest()))
    assert none.message == "product: is required"
    odd = await refusal(created(service, " A"))
    assert odd.message == "product.sku: must be 1 to 64 printable ASCII characters, with no space at either end"


async def test_one_of_many_products_is_named_by_its_number(service: Api) -> None:
    """A refused import of thousands says which product it was refused for."""
    for wrong, said in (
        (draft("B", price=pounds(-1)), "message 2 of the stream: product.price: must be "),
        (draft(""), "message 2 of the stream: product.sku: is required"),
    ):
        messages = [catalog_service_pb2.ImportProductsRequest(product=product) for product in (draft("A"), wrong)]
        found = await refusal(service.catalog.ImportProducts(iter(messages)))
        assert found.message.startswith(said)
        assert found.metadata == {"message_number": "2"}


async def test_an_order_of_a_stream_that_is_out_of_bounds_is_named_by_its_number(service: Api) -> None:
    """It ends the stream, after the answers to the orders before it."""
    await stocked(service, "TEA", 5)
    orders = [ask(("TEA", 1)), ask(("TEA", 0))]
    call = service.orders.PlaceOrders(iter([order_service_pb2.PlaceOrdersRequest(order=order) for order in orders]))
    assert (await anext(aiter(call))).WhichOneof("outcome") == "order"
    found = await refusal(anext(aiter(call)))
    assert found.message.startswith("message 2 of the stream: order.lines[0].quantity: must be ")


async def test_available_stock_is_shown_only_to_callers_of_get_stock(server: Running) -> None:
    """A customer learns that there is not enough, and no number; by both ways to place, in message and details."""
    await stocked(await server.sign_in("admin"), "TEA", 5)
    get_stock = next(method for method in METHODS if method.name == "GetStock").rule.permission
    assert get_stock
    admin = await server.sign_in("admin")
    for name, permissions in (("blind", ["orders.place"]), ("sighted", ["orders.place", get_stock])):
        request = access_service_pb2.CreateRoleRequest()
        request.role.name = name
        request.role.permissions.extend(permissions)
        await admin.access.CreateRole(request)
    for role, available in (("customer", "fewer"), ("blind", "fewer"), ("sighted", "5"), ("staff", "5")):
        api = await server.sign_in(role)
        one = await refusal(api.orders.PlaceOrder(ask(("TEA", 6))))
        stream = iter([order_service_pb2.PlaceOrdersRequest(order=ask(("TEA", 6)))])
        (answer,) = [answer async for answer in api.orders.PlaceOrders(stream)]
        for found in (one, refused_by(answer.refusal)):
            assert found.message == f"TEA: 6 wanted, {available} available", role
            assert found.preconditions == {"TEA": f"6 wanted, {available} available"}, role
            assert "5" not in f"{found.message}{found.preconditions}{found.metadata}" or available == "5", role


async def test_a_refusal_for_many_missing_products_fits_the_metadata(service: Api) -> None:
    """2,000 products with long SKUs exceed a response's metadata: the first are named, all are counted."""
    skus = [f"{number:04}{'X' * 60}" for number in range(2000)]
    messages = (catalog_service_pb2.ImportProductsRequest(product=draft(sku)) for sku in skus)
    await service.catalog.ImportProducts(messages)
    found = await refusal(service.orders.PlaceOrder(ask(*((sku, 1) for sku in skus))))
    assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_STOCK")
    assert found.message == f"{skus[0]}: 1 wanted, 0 available (and 1,999 more)"
    assert list(found.preconditions) == skus[:20]


async def test_a_refused_order_names_what_is_wrong_in_it(service: Api, customer: Api) -> None:
    """The product, the order that has the reference, the permission, the currencies."""
    await stocked(service, "TEA", 5)
    await created(service, "EURO", price=type(pounds(1))(currency_code="EUR", units=1))
    first = await placed(customer, ("TEA", 1), reference="R-1")
    for request, said in (
        (ask(("NONE", 1)), "No product has the SKU NONE."),
        (ask(("TEA", 1), reference="R-1"), f"Another of your orders already has this reference: {first.order_id}."),
        (
            ask(("TEA", 1), customer_id="17850"),
            "A customer_id other than your own needs the permission orders.place_for.",
        ),
        (ask(("TEA", 1), ("EURO", 1)), "All amounts must be in one currency, and these are in EUR,GBP."),
    ):
        assert (await refusal(customer.orders.PlaceOrder(request))).message == said


async def test_a_refused_stock_adjustment_states_the_stock(service: Api) -> None:
    """A caller who may adjust stock may see its level."""
    await stocked(service, "TEA", 5)
    found = await refusal(service.inventory.AdjustStock(receipt("TEA", -6, reason=stock_pb2.STOCK_REASON_WRITTEN_OFF)))
    assert found.message == "The adjustment would remove more of TEA than the 5 available."


async def test_a_refund_that_is_too_large_states_what_is_left(shop: Shop) -> None:
    """With the paid amount and the currency."""
    await stocked(shop.seller, "TEA", 5, price=pounds(5))
    order = await placed(shop.seller, ("TEA", 2))
    payment = await shop.settled(await shop.pay(order), "CAPTURED")
    request = payment_service_pb2.RefundPaymentRequest(payment_id=payment.payment_id, amount=pounds(6))
    await shop.seller.payments.RefundPayment(request)
    found = await refusal(shop.seller.payments.RefundPayment(request))
    assert found.message == "The refund exceeds the refundable amount: 4.00 of 10.00 GBP left."
    item = payments_pb2.RestockLine(sku="TEA", quantity=3)
    request = payment_service_pb2.RefundPaymentRequest(
        payment_id=payment.payment_id, amount=pounds(1), restock=[item], request_id=str(uuid4())
    )
    found = await refusal(shop.seller.payments.RefundPayment(request))
    assert found.message == "TEA: 3 to restock, 2 sold and not yet restocked"


async def test_an_unknown_method_is_named(server: Running) -> None:
    """A caller who misspells one sees what arrived."""
    misspelt: Any = server.channel.unary_unary("/backroom.commerce.v1.OrderService/PlaceOrdr")
    found = await refusal(misspelt(b"", timeout=60))
    assert found.message == "This server has no method backroom.commerce.v1.OrderService/PlaceOrdr."
