"""ListOrders, over the wire: visibility, filters, pages, and tokens."""

import base64
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from backroom.commerce.v1 import order_service_pb2 as pb
from backroom.commerce.v1 import orders_pb2
from backroom.common.v1 import page_pb2
from tests.commerce.books import run
from tests.commerce.goods import cancelled, found, pages, placed, stocked
from tests.fixtures.servers import Api, Running, refusal

CANCELLED = orders_pb2.ORDER_STATE_CANCELLED
PENDING = orders_pb2.ORDER_STATE_PENDING
NO_TIMES = [
    *(Timestamp(seconds=seconds) for seconds in (-(2**63), -62_135_596_801, 253_402_300_800, 2**63 - 1)),
    *(Timestamp(nanos=nanos) for nanos in (-1, 10**9)),
]


async def references(api: Api, **request: Any) -> list[str]:
    """The references of all orders of a list, over all pages."""
    read = await pages(api.orders.ListOrders, pb.ListOrdersRequest(**request), "orders")
    return [order.reference for page in read for order in page]


async def shop(service: Api, customer: Api) -> list[orders_pb2.Order]:
    """Nine orders R0 to R8: every third is the customer's own, every second is cancelled."""
    await stocked(service, "A", 100)
    placers = [customer, service, service]
    made = [
        await placed(placers[n % 3], ("A", 1), reference=f"R{n}", customer_id=["", "17850", "13047"][n % 3])
        for n in range(9)
    ]
    for order in made[1::2]:
        await cancelled(service, order)
    return [await found(service, order.order_id) for order in made]


def names(*numbers: int) -> list[str]:
    return [f"R{n}" for n in numbers]


async def test_orders_are_listed_latest_first_without_their_lines(service: Api, customer: Api) -> None:
    """Otherwise they equal GetOrder's."""
    made = await shop(service, customer)
    listed = (await service.orders.ListOrders(pb.ListOrdersRequest())).orders
    for order in made:
        order.ClearField("lines")
    assert [*listed] == made[::-1]


async def test_pages_hold_each_order_once(service: Api, customer: Api) -> None:
    """Whatever their size, and whatever is placed meanwhile (openfga#1078)."""
    await shop(service, customer)
    for size in (0, 1, 2, 9, 10, 5000):
        assert await references(service, page_size=size) == names(8, 7, 6, 5, 4, 3, 2, 1, 0)
    first = await service.orders.ListOrders(pb.ListOrdersRequest(page_size=4))
    await placed(service, ("A", 1), reference="meanwhile")
    assert [order.reference for order in first.orders] == names(8, 7, 6, 5)
    assert await references(service, page_token=first.next_page_token, page_size=3) == names(4, 3, 2, 1, 0)


async def test_orders_of_one_moment_are_paged_too(server: Running, service: Api, customer: Api) -> None:
    """If many have the same create_time, their ids order them."""
    await shop(service, customer)
    await run(server.database, "UPDATE commerce.orders SET create_time = '2026-01-01T00:00:00Z'")
    for size in (1, 4):
        assert sorted(await references(service, page_size=size)) == names(0, 1, 2, 3, 4, 5, 6, 7, 8)


async def test_the_filters_narrow_the_list(service: Api, customer: Api) -> None:
    """By state, by customer, and by both."""
    await shop(service, customer)
    assert await references(service, state=CANCELLED) == names(7, 5, 3, 1)
    assert await references(service, state=PENDING, page_size=2) == names(8, 6, 4, 2, 0)
    assert await references(service, state=orders_pb2.ORDER_STATE_PAID) == []
    assert await references(service, customer_id="17850") == names(7, 4, 1)
    assert await references(service, customer_id="17850", state=CANCELLED, page_size=1) == names(7, 1)
    assert await references(service, customer_id=str(customer.account_id)) == names(6, 3, 0)
    assert await references(service, customer_id="nobody") == []


async def test_a_periods_start_is_included_and_its_end_is_not(service: Api, customer: Api) -> None:
    """To the microsecond; either may be left open, from the year 1 to the year 9999."""
    made = await shop(service, customer)
    three, six = made[3].create_time, made[6].create_time
    assert await references(service, start_time=three, end_time=six) == names(5, 4, 3)
    assert await references(service, start_time=six) == names(8, 7, 6)
    assert await references(service, end_time=three, page_size=2) == names(2, 1, 0)
    assert await references(service, start_time=six, end_time=three) == []
    assert await references(service, start_time=three, end_time=three) == []
    assert await references(service, start_time=three, state=CANCELLED, customer_id="17850") == names(7)
    first, last = Timestamp(), Timestamp()
    first.FromJsonString("0001-01-01T00:00:00Z")
    last.FromJsonString("9999-12-31T23:59:59.999999999Z")
    assert len(await references(service, start_time=first, end_time=last)) == 9
    assert await references(service, start_time=last) == await references(service, end_time=first) == []


async def test_a_customer_sees_its_own_orders(service: Api, customer: Api) -> None:
    """Whether it names itself or not, and never another's, even if it continues with staff's token."""
    await shop(service, customer)
    assert await references(customer) == names(6, 3, 0)
    assert await references(customer, customer_id=str(customer.account_id), page_size=1) == names(6, 3, 0)
    assert await references(customer, state=CANCELLED) == names(3)
    assert await references(customer, customer_id=str(customer.account_id).upper()) == names(6, 3, 0)
    for other in ("17850", str(service.account_id), str(uuid4())):
        refused = await refusal(references(customer, customer_id=other))
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CUSTOMER_NOT_PERMITTED")
    page = await service.orders.ListOrders(pb.ListOrdersRequest(page_size=4))
    assert await references(customer, page_token=page.next_page_token) == names(3, 0)


async def test_a_customer_sees_what_staff_placed_for_it(server: Running, service: Api, customer: Api) -> None:
    """They belong to the customer."""
    await stocked(service, "A", 5)
    staff = await server.sign_in("staff")
    await placed(staff, ("A", 1), customer_id=str(customer.account_id), reference="R0")
    assert await references(customer) == await references(staff) == names(0)


async def test_a_token_is_bound_to_its_filters_and_validated(service: Api, customer: Api) -> None:
    """To each of them, but not to the page size; a corrupted one is refused whatever key it holds."""
    made = await shop(service, customer)
    page = await service.orders.ListOrders(pb.ListOrdersRequest(page_size=1))
    others: list[dict[str, Any]] = [
        {"state": PENDING},
        {"customer_id": "17850"},
        {"start_time": made[0].create_time},
        {"end_time": made[8].create_time},
    ]
    for other in others:
        refused = await refusal(references(service, page_token=page.next_page_token, **other))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
    assert len(await references(service, page_token=page.next_page_token, page_size=7)) == 8
    good = page.next_page_token
    digest = page_pb2.PageToken.FromString(base64.urlsafe_b64decode(good + "=" * (-len(good) % 4))).list_digest
    now, some_id = "2026-01-01 00:00:00+00:00", str(uuid4())
    for key in [[], [now], [some_id, now], [now, "1"], ["now", some_id], [now, some_id, ""]]:
        content = page_pb2.PageToken(list_digest=digest, after=key)
        page_token = base64.urlsafe_b64encode(content.SerializeToString()).decode().rstrip("=")
        refused = await refusal(service.orders.ListOrders(pb.ListOrdersRequest(page_token=page_token)))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"), key


async def test_a_field_out_of_bounds_is_named_by_its_path(service: Api, customer: Api) -> None:
    """Also times before the year 1, after 9999, or with invalid nanos; for staff and for customers."""
    cases: list[tuple[str, Any]] = [
        ("page_size", -1),
        ("state", 99),
        ("customer_id", "c" * 65),
        ("customer_id", "\0"),
        ("page_token", "t" * 1025),
    ]
    for path, value in cases:
        refused = await refusal(references(service, **{path: value}))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
        assert [*refused.fields] == [path]
    for api in (service, customer):
        for name in ("start_time", "end_time"):
            for time in NO_TIMES:
                refused = await refusal(references(api, **{name: time}))
                assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"), time
                assert [*refused.fields] == [name], time
