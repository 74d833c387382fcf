"""PlaceOrders, over the wire: many orders over one stream, each decided separately."""

from collections.abc import Sequence
from uuid import uuid4

import grpc

from backroom.commerce.v1 import order_service_pb2 as pb
from tests.commerce.books import count
from tests.commerce.goods import ask, cancelled, found, placed, raw, stock_of, stocked
from tests.fixtures.servers import Api, Refused, Running, refusal, refused, refused_by
from tests.invariants import broken


def messages(asks: Sequence[pb.PlaceOrderRequest]) -> list[pb.PlaceOrdersRequest]:
    return [pb.PlaceOrdersRequest(order=each) for each in asks]


async def answers(api: Api, asks: Sequence[pb.PlaceOrderRequest]) -> list[pb.PlaceOrdersResponse]:
    """All answers of a stream that ends successfully."""
    return [answer async for answer in api.orders.PlaceOrders(iter(messages(asks)))]


async def ended(api: Api, sent: Sequence[pb.PlaceOrdersRequest]) -> tuple[list[pb.PlaceOrdersResponse], Refused]:
    """The answers of a stream that ends with a refusal, and the refusal."""
    given: list[pb.PlaceOrdersResponse] = []
    try:
        async for answer in api.orders.PlaceOrders(iter(sent)):
            given.append(answer)  # noqa: PERF401 - what came before the end is wanted too
    except grpc.aio.AioRpcError as error:
        return given, refused(error)
    raise AssertionError("the stream ended well")


async def test_a_thousand_orders_are_answered_in_the_order_they_came(server: Running, service: Api) -> None:
    """Orders of one line and of many, each answered with its own, and every piece of stock accounted for."""
    await stocked(service, "A", 10_000)
    await stocked(service, "B", 10_000)
    asks = [ask(*[("A", 1), ("B", 2)][: 1 + n % 2], reference=f"R-{n}") for n in range(1000)]
    given = await answers(service, asks)
    assert [each.request_id for each in given] == [each.request_id for each in asks]
    assert [each.order.reference for each in given] == [f"R-{n}" for n in range(1000)]
    assert [each.order.line_count for each in given] == [1, 2] * 500
    assert (await stock_of(service, "A"), await stock_of(service, "B")) == ((10_000, 1000, 9000), (10_000, 1000, 9000))
    assert await found(service, given[-1].order.order_id) == given[-1].order
    assert await broken(server.database) == {}


async def test_a_refusal_does_not_end_the_stream(server: Running, service: Api, customer: Api) -> None:
    """It takes its order's place, the same as PlaceOrder's, and later orders are placed."""
    await stocked(service, "A", 3)
    taken = await placed(customer, ("A", 1), reference="TAKEN")
    asks = [
        ask(("A", 1)),
        ask(("A", 2)),
        ask(("NONE", 1)),
        ask(("A", 1), reference="TAKEN"),
        ask(("A", 1), customer_id="17850"),
        ask(("A", 1)),
    ]
    given = await answers(customer, asks)
    assert [each.WhichOneof("outcome") for each in given] == ["order", *["refusal"] * 4, "order"]
    assert [each.request_id for each in given] == [each.request_id for each in asks]
    told = [refused_by(each.refusal) for each in given[1:5]]
    reasons = ["OUT_OF_STOCK", "PRODUCT_NOT_FOUND", "REFERENCE_TAKEN", "CUSTOMER_NOT_PERMITTED"]
    assert [each.reason for each in told] == reasons
    assert told[0].preconditions == {"A": "2 wanted, fewer available"}
    assert [each.metadata for each in told[1:]] == [
        {"sku": "NONE"},
        {"order_id": taken.order_id},
        {"permission": "orders.place_for"},
    ]
    assert told[1:] == [await refusal(customer.orders.PlaceOrder(each)) for each in asks[2:5]]
    assert await stock_of(service, "A") == (3, 3, 0)
    assert await broken(server.database) == {}


async def test_a_message_out_of_bounds_ends_the_stream_after_the_answers_before_it(
    server: Running, service: Api
) -> None:
    """Earlier orders are placed and answered; later ones are not placed."""
    await stocked(service, "A", 1000)
    for place in (0, 1, 300):
        before = await count(server.database, "orders")
        sent = messages([ask(("A", 1)) for _ in range(place + 2)])
        sent[place].order.lines[0].quantity = 0
        given, refused = await ended(service, sent)
        assert [each.request_id for each in given] == [each.order.request_id for each in sent[:place]]
        assert all(each.HasField("order") for each in given)
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
        assert [*refused.fields] == ["order.lines[0].quantity"]
        assert await count(server.database, "orders") == before + place
    assert await broken(server.database) == {}
    others = {"order": pb.PlaceOrdersRequest(), "order.lines[0].sku": pb.PlaceOrdersRequest(order=ask(("A\0", 1)))}
    for path, message in others.items():
        given, refused = await ended(service, [message])
        assert (given, [*refused.fields]) == ([], [path])


async def test_each_order_can_be_answered_before_the_next_is_sent(service: Api) -> None:
    """A caller that waits for each answer does not have to send more; an empty stream ends successfully."""
    await stocked(service, "A", 2)
    call = service.orders.PlaceOrders()
    for kind in ("order", "order", "refusal"):
        await call.write(pb.PlaceOrdersRequest(order=ask(("A", 1))))
        assert (await call.read()).WhichOneof("outcome") == kind
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK
    assert await answers(service, []) == []


async def test_a_repeated_stream_gets_the_first_answers(server: Running, service: Api) -> None:
    """Order by order and byte for byte, within a stream, over streams, and by PlaceOrder too."""
    await stocked(service, "A", 10)
    one, two, three = (ask(("A", quantity)) for quantity in (1, 2, 3))
    first, second, again = await answers(service, [one, two, one])
    assert raw(again) == raw(first)
    await cancelled(service, first.order)
    repeated = await answers(service, [two, one, three])
    assert [raw(each) for each in repeated[:2]] == [raw(second), raw(first)]
    assert (await service.orders.PlaceOrder(three)).order == repeated[2].order
    assert await count(server.database, "orders") == 3
    assert await stock_of(service, "A") == (10, 5, 5)
    assert await broken(server.database) == {}


async def test_earlier_orders_of_the_stream_count(service: Api) -> None:
    """A request_id with other content, and a reference that the same stream has taken, are refused in their place."""
    await stocked(service, "A", 10)
    request_id = str(uuid4())
    asks = [ask(("A", quantity), request_id=request_id) for quantity in (1, 2, 1)]
    first, other, again = await answers(service, asks)
    assert refused_by(other.refusal).reason == "REQUEST_ID_REUSED"
    assert raw(again) == raw(first)
    assert await stock_of(service, "A") == (10, 1, 9)
    first, second = await answers(service, [ask(("A", 1), reference="R-1"), ask(("A", 1), reference="R-1")])
    told = refused_by(second.refusal)
    assert (told.reason, told.metadata) == ("REFERENCE_TAKEN", {"order_id": first.order.order_id})


async def test_placing_orders_needs_the_permission(server: Running) -> None:
    """The stream is refused before its first message is looked at."""
    nobody = await server.sign_in()
    given, refused = await ended(nobody, [pb.PlaceOrdersRequest()])
    assert given == []
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
