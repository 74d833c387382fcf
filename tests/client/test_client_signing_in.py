import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from backroom.commerce.v1.catalog_service_pb2 import ImportProductsRequest, ImportProductsResponse
from backroom.commerce.v1.order_service_pb2 import (
    GetOrderRequest,
    GetOrderResponse,
    PlaceOrderRequest,
    PlaceOrderResponse,
    PlaceOrdersRequest,
    PlaceOrdersResponse,
)
from backroom.identity.v1.identity_service_pb2 import LoginResponse, RefreshResponse, RegisterRequest, RegisterResponse
from backroom_client import Password, refusal_of
from tests.client.played import (
    CREDENTIALS_INVALID,
    EXCHANGE_KEY,
    GET_ORDER,
    IMPORT_PRODUCTS,
    LOGIN,
    NOON,
    PLACE_ORDER,
    PLACE_ORDERS,
    REFRESH,
    REGISTER,
    TOKEN_INVALID,
    Played,
    refusal,
    tokens,
)

PERSON = Password("ann@example.org", "a long password")


def get_order(server: Played, token: str) -> None:
    """One call that must have this token, and is answered."""
    call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest()))
    metadata, _ = server.answer(GET_ORDER, GetOrderResponse())
    assert metadata["authorization"] == f"Bearer {token}"
    call.result(5)


def test_the_key_is_exchanged_once_and_every_call_has_the_token() -> None:
    """The first call fetches the token, and later ones reuse it."""
    server = Played()
    call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest()))
    server.exchange_key("one")
    metadata, _ = server.answer(GET_ORDER, GetOrderResponse())
    call.result(5)
    assert metadata["authorization"] == "Bearer one"
    get_order(server, "one")


def test_the_metadata_of_the_caller_is_kept() -> None:
    """The token is added to it."""
    server = Played()
    call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest(), metadata=(("x-trace", "7"),)))
    server.exchange_key("one")
    metadata, _ = server.answer(GET_ORDER, GetOrderResponse())
    call.result(5)
    assert (metadata["x-trace"], metadata["authorization"]) == ("7", "Bearer one")


def test_a_public_method_sends_no_token() -> None:
    """Registering neither needs a token nor fetches one."""
    server = Played()
    call = server.start(lambda: server.client.identity.Register(RegisterRequest(email="ann@example.org")))
    metadata, _ = server.answer(REGISTER, RegisterResponse())
    call.result(5)
    assert "authorization" not in metadata


def test_without_credentials_no_call_has_a_token() -> None:
    """The server refuses it."""
    server = Played(None)
    call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest()))
    metadata, _ = server.refuse(GET_ORDER, TOKEN_INVALID)
    assert "authorization" not in metadata
    with pytest.raises(grpc.RpcError):
        call.result(5)


def test_the_token_is_renewed_one_minute_before_it_expires() -> None:
    """A second earlier the old one is still used."""
    server = Played()
    call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest()))
    server.exchange_key("one", minutes=15)
    server.answer(GET_ORDER, GetOrderResponse())
    call.result(5)
    server.now = NOON.replace(minute=13, second=59)
    get_order(server, "one")
    server.now = NOON.replace(minute=14)
    call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest()))
    server.exchange_key("two")
    metadata, _ = server.answer(GET_ORDER, GetOrderResponse())
    call.result(5)
    assert metadata["authorization"] == "Bearer two"


def test_concurrent_calls_fetch_one_token() -> None:
    """The others wait for the one that fetches it; a second ExchangeKey would hang unanswered."""
    server = Played()
    calls = [server.start(lambda: server.client.orders.GetOrder(GetOrderRequest())) for _ in range(8)]
    server.exchange_key("one")
    carried = [server.answer(GET_ORDER, GetOrderResponse())[0]["authorization"] for _ in calls]
    for call in calls:
        call.result(5)
    assert carried == ["Bearer one"] * 8


def test_a_rejected_token_is_renewed_and_the_call_repeated_once_with_the_same_request_id() -> None:
    """The server may revoke a token before it expires; a change that is repeated for that must count once."""
    server = Played()
    request = PlaceOrderRequest(reference="7")
    call = server.start(lambda: server.client.orders.PlaceOrder(request))
    server.exchange_key("one")
    _, first = server.refuse(PLACE_ORDER, TOKEN_INVALID)
    server.exchange_key("two")
    metadata, second = server.answer(PLACE_ORDER, PlaceOrderResponse())
    call.result(5)
    assert metadata["authorization"] == "Bearer two"
    assert first.request_id == second.request_id != ""
    assert request == PlaceOrderRequest(reference="7")


def test_a_token_rejected_twice_reaches_the_caller() -> None:
    """One renewal shows that it does not help."""
    server = Played()
    call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest()))
    server.exchange_key("one")
    server.refuse(GET_ORDER, TOKEN_INVALID)
    server.exchange_key("two")
    server.refuse(GET_ORDER, TOKEN_INVALID)
    with pytest.raises(grpc.RpcError) as raised:
        call.result(5)
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_another_unauthenticated_answer_is_not_retried() -> None:
    """A wrong password stays wrong with a new token."""
    server = Played()
    call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest()))
    server.exchange_key("one")
    server.refuse(GET_ORDER, CREDENTIALS_INVALID)
    with pytest.raises(grpc.RpcError):
        call.result(5)


def test_a_person_logs_in_once_and_refreshes_from_then_on() -> None:
    """The session continues; its refresh token is a new one each time."""
    server = Played(PERSON)
    call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest()))
    _, login = server.answer(LOGIN, LoginResponse(tokens=tokens("one", "r1", server.now)))
    server.answer(GET_ORDER, GetOrderResponse())
    call.result(5)
    assert (login.email, login.password) == ("ann@example.org", "a long password")
    for access, before, after in (("two", "r1", "r2"), ("three", "r2", "r3")):
        server.now = server.now.replace(hour=server.now.hour + 1)
        call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest()))
        _, refresh = server.answer(REFRESH, RefreshResponse(tokens=tokens(access, after, server.now)))
        metadata, _ = server.answer(GET_ORDER, GetOrderResponse())
        call.result(5)
        assert refresh.refresh_token == before
        assert metadata["authorization"] == f"Bearer {access}"


def test_a_person_whose_session_has_ended_logs_in_again() -> None:
    """If a refresh token is refused, the password is used."""
    server = Played(PERSON)
    call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest()))
    server.answer(LOGIN, LoginResponse(tokens=tokens("one", "r1", server.now)))
    server.answer(GET_ORDER, GetOrderResponse())
    call.result(5)
    server.now = server.now.replace(hour=13)
    call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest()))
    server.refuse(REFRESH, CREDENTIALS_INVALID)
    server.answer(LOGIN, LoginResponse(tokens=tokens("two", "r2", server.now)))
    metadata, _ = server.answer(GET_ORDER, GetOrderResponse())
    call.result(5)
    assert metadata["authorization"] == "Bearer two"


def test_a_failed_sign_in_reaches_the_caller_and_the_next_call_tries_again() -> None:
    """The call itself is not made, and the failure is not cached."""
    server = Played()
    call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest()))
    server.refuse(EXCHANGE_KEY, CREDENTIALS_INVALID)
    with pytest.raises(grpc.RpcError) as raised:
        call.result(5)
    refused = refusal_of(raised.value)
    assert refused is not None
    assert refused.reason == "CREDENTIALS_INVALID"
    call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest()))
    server.exchange_key("two")
    server.answer(GET_ORDER, GetOrderResponse())
    call.result(5)


def test_a_refresh_that_finds_no_server_does_not_log_in_again() -> None:
    """UNAVAILABLE says nothing about the session, and each Login opens another one."""
    server = Played(PERSON)
    call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest()))
    server.answer(LOGIN, LoginResponse(tokens=tokens("one", "r1", server.now)))
    server.answer(GET_ORDER, GetOrderResponse())
    call.result(5)
    server.now = server.now.replace(hour=13)
    call = server.start(lambda: server.client.orders.GetOrder(GetOrderRequest()))
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1))
    server.refuse(REFRESH, refusal(grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE", retry))
    with pytest.raises(grpc.RpcError) as raised:
        call.result(5)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_stream_of_requests_has_the_token() -> None:
    """ImportProducts sends many messages under one token."""
    server = Played()
    call = server.start(lambda: server.client.catalog.ImportProducts(iter([ImportProductsRequest()])))
    server.exchange_key("one")
    metadata, stream = server.take_stream(IMPORT_PRODUCTS)
    stream.terminate(ImportProductsResponse(), (), grpc.StatusCode.OK, "")
    call.result(5)
    assert metadata["authorization"] == "Bearer one"


def test_a_bidirectional_stream_has_the_token() -> None:
    """PlaceOrders is answered under the token with which it started."""
    server = Played()
    asks = iter([PlaceOrdersRequest(order=PlaceOrderRequest(reference="7"))])
    call = server.start(lambda: list(server.client.orders.PlaceOrders(asks)))
    server.exchange_key("one")
    metadata, stream = server.take_stream(PLACE_ORDERS)
    request = stream.take_request()
    stream.send_response(PlaceOrdersResponse(request_id=request.order.request_id))
    stream.terminate((), grpc.StatusCode.OK, "")
    (response,) = call.result(5)
    assert metadata["authorization"] == "Bearer one"
    assert response.request_id == request.order.request_id != ""
