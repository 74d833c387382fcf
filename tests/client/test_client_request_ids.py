from uuid import UUID

import grpc
from hypothesis import given, settings
from hypothesis import strategies as st

from backroom.commerce.v1.catalog_service_pb2 import ImportProductsRequest, ImportProductsResponse
from backroom.commerce.v1.order_service_pb2 import (
    GetOrderRequest,
    PlaceOrderRequest,
    PlaceOrderResponse,
    PlaceOrdersRequest,
)
from backroom.commerce.v1.products_pb2 import Product
from backroom_client import request_id_for
from backroom_client.request_ids import new_request_id, with_request_id
from tests.client.played import IMPORT_PRODUCTS, PLACE_ORDER, Played

OWN = "11111111-1111-4111-8111-111111111111"


def test_an_empty_request_id_is_filled_on_a_copy() -> None:
    """The caller's message is not modified, and may be sent again as another order."""
    server = Played(None)
    request = PlaceOrderRequest(reference="7")
    sent = []
    for _ in range(2):
        call = server.start(lambda: server.client.orders.PlaceOrder(request))
        sent.append(server.answer(PLACE_ORDER, PlaceOrderResponse())[1])
        call.result(5)
    assert [order.reference for order in sent] == ["7", "7"]
    assert len({UUID(order.request_id) for order in sent}) == 2
    assert request == PlaceOrderRequest(reference="7")


def test_a_request_id_of_the_caller_is_kept() -> None:
    """The client does not replace it."""
    request = PlaceOrderRequest(request_id=OWN)
    assert with_request_id(request, new_request_id) is request


def test_a_message_without_such_a_field_is_sent_unchanged() -> None:
    """Reading changes nothing and needs no id."""
    request = GetOrderRequest(order_id=OWN)
    assert with_request_id(request, new_request_id) is request


def test_an_order_inside_a_streams_message_is_filled_too() -> None:
    """Each order of PlaceOrders is repeated separately."""
    request = PlaceOrdersRequest(order=PlaceOrderRequest(reference="7"))
    filled = with_request_id(request, lambda: OWN)
    assert filled.order == PlaceOrderRequest(reference="7", request_id=OWN)
    assert not request.order.request_id


def test_of_an_import_only_the_first_message_is_filled() -> None:
    """The first one's counts; ids of the others would give a repeated stream other content."""
    server = Played(None)
    asks = [ImportProductsRequest(product=Product(sku=sku)) for sku in "abc"]
    call = server.start(lambda: server.client.catalog.ImportProducts(iter(asks)))
    _, stream = server.take_stream(IMPORT_PRODUCTS)
    sent = [stream.take_request() for _ in asks]
    stream.requests_closed()
    stream.terminate(ImportProductsResponse(), (), grpc.StatusCode.OK, "")
    call.result(5)
    assert [request.product.sku for request in sent] == ["a", "b", "c"]
    assert [bool(request.request_id) for request in sent] == [True, False, False]


def test_a_derived_id_never_changes() -> None:
    """Orders placed last year under these names must be recognized."""
    assert request_id_for("online-retail", "order", "536365") == "e8ae6c18-4f0f-51c9-9fbf-e325c4605928"


@settings(deadline=None)
@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_two_names_share_a_derived_id_only_if_they_are_equal(one: list[str], other: list[str]) -> None:
    """The parts count separately: ("a", "bc") is not ("ab", "c")."""
    assert (request_id_for(*one) == request_id_for(*other)) == (one == other)
