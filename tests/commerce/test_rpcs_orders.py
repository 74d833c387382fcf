"""GetOrder and CancelOrder, over the wire."""

from dataclasses import replace
from uuid import uuid4

import grpc

from backroom.commerce.v1 import catalog_service_pb2, orders_pb2
from backroom.commerce.v1 import order_service_pb2 as pb
from tests.commerce.books import run
from tests.commerce.goods import cancelled, found, placed, raw, stock_of, stocked
from tests.fixtures.servers import Api, Running, refusal
from tests.invariants import broken


async def test_an_order_is_visible_to_its_customer_its_placer_and_staff(
    server: Running, service: Api, customer: Api
) -> None:
    """Each of them gets it as it was placed, with its lines."""
    await stocked(service, "A", 10)
    staff = await server.sign_in("staff")
    order = await placed(staff, ("A", 2), ("A", 1), customer_id=str(customer.account_id))
    for api in (customer, staff, service):
        assert await found(api, order.order_id) == order
    assert await found(customer, order.order_id.upper()) == order


async def test_anothers_order_is_refused_like_a_missing_one(server: Running, service: Api, customer: Api) -> None:
    """To read and to cancel, under any request_id; nothing shows whether the order exists."""
    await stocked(service, "A", 10)
    stranger = await server.sign_in("customer")
    order = await placed(customer, ("A", 2))
    absent = str(uuid4())
    for ask in (
        lambda order_id: found(stranger, order_id),
        lambda order_id: stranger.orders.CancelOrder(pb.CancelOrderRequest(order_id=order_id)),
        lambda order_id: stranger.orders.CancelOrder(
            pb.CancelOrderRequest(order_id=order_id, request_id=str(uuid4()), reason="mine")
        ),
    ):
        hidden, none = await refusal(ask(order.order_id)), await refusal(ask(absent))
        assert (none.code, none.reason) == (grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")
        assert none.metadata == {"order_id": absent}
        told = none.message.replace(absent, order.order_id)
        assert hidden == replace(none, metadata={"order_id": order.order_id}, message=told)
    assert (await found(customer, order.order_id)) == order
    assert await stock_of(service, "A") == (10, 2, 8)


async def test_an_id_that_is_no_uuid_is_out_of_bounds(service: Api) -> None:
    """By its path, for both."""
    for order_id in ("", "1", uuid4().hex, f"{{{uuid4()}}}", f"{uuid4()}\0", "; --"):
        for call in (
            found(service, order_id),
            service.orders.CancelOrder(pb.CancelOrderRequest(order_id=order_id)),
        ):
            refused = await refusal(call)
            assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
            assert [*refused.fields] == ["order_id"]


async def test_cancelling_releases_the_stock_once(server: Running, service: Api, customer: Api) -> None:
    """The order has the reason, and its pieces can be sold again."""
    for sku in ("A", "B"):
        await stocked(service, sku, 5)
    order = await placed(customer, ("A", 2), ("B", 5), ("A", 3))
    assert await stock_of(service, "A") == (5, 5, 0)
    answer = await cancelled(customer, order, reason="ä" * 500)
    order.MergeFrom(orders_pb2.Order(state=orders_pb2.ORDER_STATE_CANCELLED, cancel_reason="ä" * 500))
    assert answer.update_time != order.update_time
    order.update_time.CopyFrom(answer.update_time)
    order.ClearField("hold_end_time")
    assert answer == order
    assert await found(customer, order.order_id) == answer
    assert (await stock_of(service, "A"), await stock_of(service, "B")) == ((5, 0, 5), (5, 0, 5))
    await placed(service, ("A", 5))
    assert await broken(server.database) == {}


async def test_a_second_cancel_without_a_request_id_gets_the_state(server: Running, service: Api) -> None:
    """Nothing is released twice, and the first reason remains."""
    await stocked(service, "A", 5)
    order = await placed(service, ("A", 2))
    first = await cancelled(service, order, reason="first")
    refused = await refusal(cancelled(service, order, reason="second"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_STATE_CONFLICT")
    assert refused.metadata == {"state": "CANCELLED", "needed": "PENDING or PAID"}
    assert refused.message == "The order is CANCELLED, and this call needs it to be PENDING or PAID."
    assert await found(service, order.order_id) == first
    assert await stock_of(service, "A") == (5, 0, 5)
    assert await broken(server.database) == {}


async def test_a_repeated_cancel_gets_the_first_answer(server: Running, service: Api) -> None:
    """Byte for byte, and stock that other orders have reserved meanwhile stays reserved."""
    await stocked(service, "A", 5)
    order = await placed(service, ("A", 5))
    request = pb.CancelOrderRequest(order_id=order.order_id, request_id=str(uuid4()), reason="too late")
    first = await service.orders.CancelOrder(request)
    await placed(service, ("A", 4))
    assert raw(await service.orders.CancelOrder(request)) == raw(first)
    assert await stock_of(service, "A") == (5, 4, 1)
    assert await broken(server.database) == {}


async def test_a_request_id_is_bound_to_one_content(service: Api) -> None:
    """Another order or another reason is other content, refused before the order's state is checked."""
    await stocked(service, "A", 5)
    one, two = await placed(service, ("A", 1)), await placed(service, ("A", 1))
    request_id = str(uuid4())
    await cancelled(service, one, request_id=request_id)
    for order, reason in ((two, ""), (one, "why")):
        refused = await refusal(cancelled(service, order, request_id=request_id, reason=reason))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    assert await found(service, two.order_id) == two


async def test_a_refused_cancel_may_be_tried_again(server: Running, service: Api) -> None:
    """The refusal is not stored: once the order is pending again, the same request succeeds."""
    await stocked(service, "A", 5)
    order = await placed(service, ("A", 1))
    request_id = str(uuid4())
    await run(server.database, "UPDATE commerce.orders SET state = 'fulfilled'")
    assert (await refusal(cancelled(service, order, request_id=request_id))).metadata["state"] == "FULFILLED"
    await run(server.database, "UPDATE commerce.orders SET state = 'pending'")
    assert (await cancelled(service, order, request_id=request_id)).state == orders_pb2.ORDER_STATE_CANCELLED
    assert await broken(server.database) == {}


async def test_a_finished_order_is_not_cancelled(server: Running, service: Api) -> None:
    """A fulfilled or ended order cannot be, and the refusal names its state."""
    await stocked(service, "A", 5)
    order = await placed(service, ("A", 1))
    for state in ("FULFILLED", "CANCELLED", "EXPIRED", "REFUNDED"):
        await run(server.database, f"UPDATE commerce.orders SET state = '{state.lower()}'")
        refused = await refusal(cancelled(service, order))
        assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_STATE_CONFLICT")
        assert refused.metadata == {"state": state, "needed": "PENDING or PAID"}
        assert await stock_of(service, "A") == (5, 1, 4)
        assert orders_pb2.OrderState.Name((await found(service, order.order_id)).state) == f"ORDER_STATE_{state}"


async def test_staff_cancels_a_customers_order(server: Running, service: Api, customer: Api) -> None:
    """And the customer one that staff placed for it; stock of archived products is released too."""
    product = await stocked(service, "A", 5)
    staff = await server.sign_in("staff")
    for owner, placer, canceller in ((customer, customer, staff), (customer, staff, customer)):
        order = await placed(placer, ("A", 1), customer_id=str(owner.account_id))
        product.archived = canceller is customer
        await service.catalog.UpdateProduct(catalog_service_pb2.UpdateProductRequest(product=product))
        assert (await cancelled(canceller, order)).state == orders_pb2.ORDER_STATE_CANCELLED
    assert await broken(server.database) == {}


async def test_a_field_out_of_bounds_is_named_by_its_path(service: Api) -> None:
    """A reason too long or with a NUL, and a request_id that is no UUID; nothing is cancelled."""
    await stocked(service, "A", 5)
    order = await placed(service, ("A", 2))
    for path, given in {"reason": "r" * 501, "request_id": "1"}.items():
        assert [*(await refusal(cancelled(service, order, **{path: given}))).fields] == [path]
    assert [*(await refusal(cancelled(service, order, reason="\0"))).fields] == ["reason"]
    assert await found(service, order.order_id) == order
