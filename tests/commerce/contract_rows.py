"""What the contract's tests need to know of commerce."""

from collections.abc import Mapping

from google.protobuf.field_mask_pb2 import FieldMask

from backroom.commerce.v1 import (
    catalog_service_pb2,
    order_service_pb2,
    payment_service_pb2,
    payments_pb2,
    products_pb2,
)
from tests.commerce.goods import ask, draft, found, placed, raw, receipt
from tests.contract.hostile import STOCKED
from tests.contract.rows import ContractRows
from tests.contract.scenario import Scenario, fresh
from tests.fixtures.servers import Api, Running
from tests.fixtures.trading import eventually


async def sell(scenario: Scenario) -> None:
    """Products, stock and orders, each by every method that creates or changes one."""
    seller, pb = scenario.shop.seller, catalog_service_pb2
    made = await scenario.change(
        seller, "CreateProduct", pb.CreateProductRequest(request_id=fresh(), product=draft("TEA")), "product/TEA"
    )
    edit = pb.UpdateProductRequest(
        request_id=fresh(),
        product=products_pb2.Product(product_id=made.product.product_id, name="Tea"),
        update_mask=FieldMask(paths=["name"]),
    )
    await scenario.change(seller, "UpdateProduct", edit, "product/TEA")
    imported = pb.ImportProductsRequest(request_id=fresh(), product=draft("MUG"))
    await scenario.change(seller, "ImportProducts", imported, "product/MUG")
    await scenario.change(seller, "ImportProducts", pb.ImportProductsRequest(request_id=fresh(), product=draft("MUG")))
    await scenario.change(seller, "AdjustStock", receipt("TEA", 100, request_id=fresh()), "product/TEA")
    placed = await scenario.change(seller, "PlaceOrder", ask(("TEA", 1)), "order/{answer.order.order_id}")
    cancel = order_service_pb2.CancelOrderRequest(request_id=fresh(), order_id=placed.order.order_id, reason="why not")
    await scenario.change(seller, "CancelOrder", cancel, f"order/{placed.order.order_id}")


async def take_money(scenario: Scenario) -> None:
    """Orders that are paid, fulfilled and refunded; and one that is cancelled after it was paid."""
    shop, seller = scenario.shop, scenario.shop.seller
    streamed = order_service_pb2.PlaceOrdersRequest(order=ask(("TEA", 1)))
    placed = await scenario.change(seller, "PlaceOrders", streamed, "order/{answer.order.order_id}")
    order_id = placed.order.order_id
    await shop.sandbox.behave(webhook_url="")
    create = payment_service_pb2.CreatePaymentRequest(
        request_id=fresh(), payment=payments_pb2.Payment(order_id=order_id, method="card_later")
    )
    begun = await scenario.change(seller, "CreatePayment", create, "payment/{answer.payment.payment_id}")
    payment_id = begun.payment.payment_id
    known = await eventually(lambda: shop.payment(payment_id), lambda found: bool(found.provider_payment_id))
    (await shop.sandbox.control.post(f"/v1/payments/{known.provider_payment_id}/confirm")).raise_for_status()
    confirm = payment_service_pb2.ConfirmPaymentRequest(payment_id=payment_id)
    await scenario.change(seller, "ConfirmPayment", confirm, f"payment/{payment_id}")
    paid = await shop.settled(known, "CAPTURED")
    fulfill = order_service_pb2.FulfillOrderRequest(request_id=fresh(), order_id=order_id)
    await scenario.change(seller, "FulfillOrder", fulfill, f"order/{order_id}")
    refund = payment_service_pb2.RefundPaymentRequest(request_id=fresh(), payment_id=payment_id)
    await scenario.change(seller, "RefundPayment", refund, f"payment/{payment_id}")
    await shop.settled(paid, "REFUNDED")


async def nothing_to_pay(scenario: Scenario) -> None:
    """An order of nothing is paid when its payment is created; cancelling a paid order refunds it."""
    shop, seller = scenario.shop, scenario.shop.seller
    free = ask(("TEA", 1))
    free.lines[0].unit_price.currency_code = "GBP"
    placed = await scenario.change(seller, "PlaceOrder", free, "order/{answer.order.order_id}")
    create = payment_service_pb2.CreatePaymentRequest(
        request_id=fresh(), payment=payments_pb2.Payment(order_id=placed.order.order_id)
    )
    both = (f"order/{placed.order.order_id}", "payment/{answer.payment.payment_id}")
    await scenario.change(seller, "CreatePayment", create, *both)
    placed = await scenario.change(seller, "PlaceOrder", ask(("TEA", 1)), "order/{answer.order.order_id}")
    paid = await shop.settled(await shop.pay(placed.order), "CAPTURED")
    cancel = order_service_pb2.CancelOrderRequest(request_id=fresh(), order_id=placed.order.order_id)
    both = (f"order/{placed.order.order_id}", f"payment/{paid.payment_id}")
    await scenario.change(seller, "CancelOrder", cancel, *both)


async def owned(_server: Running, owner: Api) -> Mapping[str, str]:
    """An order, and its payment."""
    order = await placed(owner, (STOCKED, 2))
    paying = payment_service_pb2.CreatePaymentRequest(payment=payments_pb2.Payment(order_id=order.order_id))
    payment = (await owner.payments.CreatePayment(paying)).payment
    return {"account": str(owner.account_id), "order": order.order_id, "payment": payment.payment_id}


async def state(owner: Api, ids: Mapping[str, str]) -> object:
    """The order's state, and how much of its payment was refunded."""
    paid = payment_service_pb2.GetPaymentRequest(payment_id=ids["payment"])
    refunds = (await owner.payments.GetPayment(paid)).payment.refunds
    return raw(await found(owner, ids["order"])), [refund.refund_id for refund in refunds]


ROWS = ContractRows(
    changes=(sell, take_money, nothing_to_pay),
    everyones=dict.fromkeys(
        [
            ("CatalogService/UpdateProduct", "product.product_id"),
            ("CatalogService/GetProduct", "product_id"),
        ],
        "products are the shop's: who may read or write one may do so with all",
    ),
    own={
        ("OrderService/PlaceOrder", "customer_id"): "account",
        ("OrderService/PlaceOrders", "order.customer_id"): "account",
        ("OrderService/GetOrder", "order_id"): "order",
        ("OrderService/ListOrders", "customer_id"): "account",
        ("OrderService/CancelOrder", "order_id"): "order",
        ("OrderService/FulfillOrder", "order_id"): "order",
        ("OrderService/WatchOrders", "customer_id"): "account",
        ("PaymentService/CreatePayment", "payment.order_id"): "order",
        ("PaymentService/ConfirmPayment", "payment_id"): "payment",
        ("PaymentService/GetPayment", "payment_id"): "payment",
        ("PaymentService/ListPayments", "order_id"): "order",
        ("PaymentService/RefundPayment", "payment_id"): "payment",
    },
    permissions=(
        *("catalog.read", "orders.place", "orders.read", "orders.cancel", "orders.fulfill"),
        *("payments.create", "payments.read", "payments.refund"),
    ),
    owned=owned,
    state=state,
    # A payment's client_secret belongs to the provider and the customer's browser; confirming deletes it.
    shows_secrets=frozenset(
        f"PaymentService/{name}"
        for name in ("CreatePayment", "ConfirmPayment", "GetPayment", "ListPayments", "RefundPayment")
    ),
)
