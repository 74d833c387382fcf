"""Ids as people and other systems write them."""

from uuid import uuid4

from google.type import money_pb2

from backroom.commerce.v1 import order_service_pb2 as pb
from tests.commerce.goods import ask, found, placed, stocked
from tests.fixtures.servers import Api, refusal


async def test_a_customer_in_capitals_is_the_same_customer(service: Api, customer: Api) -> None:
    """Some systems write UUIDs so: the customer's orders are its own, in whichever case they are listed or placed."""
    await stocked(service, "TEA", 10)
    mine, capitals = str(customer.account_id), str(customer.account_id).upper()
    order = await placed(service, ("TEA", 1), customer_id=capitals)
    assert order.customer_id == mine
    assert (await found(customer, order.order_id.upper())) == order
    own = await placed(customer, ("TEA", 1), customer_id=capitals)
    for api in (service, customer):
        listed = await api.orders.ListOrders(pb.ListOrdersRequest(customer_id=capitals))
        assert {each.order_id for each in listed.orders} == {order.order_id, own.order_id}
    watch = customer.orders.WatchOrders(pb.WatchOrdersRequest(customer_id=capitals))
    assert (await anext(aiter(watch))).resume_token
    watch.cancel()


async def test_a_customer_id_that_is_no_uuid_keeps_its_case(service: Api) -> None:
    """Only the system that assigned it knows whether case matters."""
    await stocked(service, "TEA", 10)
    for number in ("C-00Ab", uuid4().hex.upper(), f"{uuid4()}".upper()[:35] + "G"):
        assert (await placed(service, ("TEA", 1), customer_id=number)).customer_id == number


async def test_of_many_currencies_the_first_are_named(service: Api) -> None:
    """2,000 of them took 8 kB of a response's metadata, which clients of other languages refuse to read."""
    await stocked(service, "TEA", 10)
    codes = [f"{one}{two}{three}" for one in "AB" for two in "ABCDEFGHIJ" for three in "ABCDEFGHIJ"]
    request = ask()
    for code in codes:
        request.lines.add(sku="TEA", quantity=1, unit_price=money_pb2.Money(currency_code=code, units=1))
    refused = await refusal(service.orders.PlaceOrder(request))
    assert refused.reason == "CURRENCY_MISMATCH"
    assert refused.metadata["currencies"] == ",".join(codes[:20])
