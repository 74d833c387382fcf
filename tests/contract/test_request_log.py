"""One log line per call, with caller, method and outcome, and nothing of the payload."""

from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from backroom.commerce.v1 import catalog_service_pb2, order_service_pb2
from backroom.identity.v1 import access_service_pb2, accounts_pb2, identity_service_pb2
from tests.commerce.goods import ask
from tests.contract.hostile import SOLD
from tests.contract.probes import checked
from tests.fixtures.mailboxes import token_for
from tests.fixtures.servers import Api, Running, refusal

GET_ME = "/backroom.identity.v1.IdentityService/GetMe"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def called(api: Api, *metadata: tuple[str, str]) -> dict[str, Any]:
    """Calls GetMe with this metadata, and returns the trailing metadata of the response."""
    authorization = (("authorization", f"Bearer {api.token}"),) if api.token else ()
    stub: Any = api.channel.unary_unary(GET_ME)
    call = stub(b"", metadata=(*authorization, *metadata), timeout=60)
    await call.code()
    return dict(await call.trailing_metadata())


async def only_line(server: Running) -> dict[str, Any]:
    await server.idle()
    (line,) = server.log
    return line


async def test_a_call_is_one_line(server: Running, admin: Api) -> None:
    """With its method, code, duration in milliseconds, caller, and both ids."""
    await called(admin)
    line = await only_line(server)
    known = {"level", "event", "method", "code", "duration_ms", "caller", "source", "call_id", "trace_id"}
    assert set(line) == known
    assert line["source"] == "127.0.0.1"
    assert (line["level"], line["event"], line["method"], line["code"]) == ("info", "call", GET_ME, "OK")
    assert line["caller"] == str(admin.account_id)
    assert 0 < line["duration_ms"] < 60_000
    assert UUID(line["call_id"])
    assert len(line["trace_id"]) == 32
    assert int(line["trace_id"], 16)


async def test_a_refused_call_is_one_line_with_its_reason(server: Running, admin: Api) -> None:
    """With its caller, if known."""
    await refusal(admin.orders.GetOrder(order_service_pb2.GetOrderRequest(order_id=str(uuid4()))))
    line = await only_line(server)
    assert (line["code"], line["reason"], line["caller"]) == ("NOT_FOUND", "ORDER_NOT_FOUND", str(admin.account_id))
    server.log.clear()
    await called(server.anonymous)
    line = await only_line(server)
    assert (line["code"], line["reason"], line["caller"]) == ("UNAUTHENTICATED", "TOKEN_INVALID", None)


async def test_the_name_of_an_unknown_method_cannot_forge_log_lines(server: Running) -> None:
    """Escape codes and line ends are escaped, and a long name is truncated."""
    for path in ("/a.B/\x1b[2J", f"/a.B/{'c' * 5000}"):
        stub: Any = server.channel.unary_unary(path)
        with pytest.raises(grpc.aio.AioRpcError):
            await stub(b"", timeout=60)
    await server.idle()
    assert [len(line["method"]) <= 100 and line["method"].isprintable() for line in server.log] == [True, True]


async def test_a_stream_is_one_line(server: Running, admin: Api) -> None:
    """However many messages it holds."""
    asks = [order_service_pb2.PlaceOrdersRequest(order=ask((SOLD, 1))) for _ in range(3)]
    assert len([answer async for answer in admin.orders.PlaceOrders(iter(asks))]) == 3
    line = await only_line(server)
    assert (line["method"], line["code"]) == ("/backroom.commerce.v1.OrderService/PlaceOrders", "OK")


async def test_a_callers_trace_is_continued(server: Running, admin: Api) -> None:
    """With a valid traceparent, the line has its trace id."""
    await called(admin, ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"))
    assert (await only_line(server))["trace_id"] == TRACE


@pytest.mark.parametrize(
    "traceparent", ["", "00", TRACE, f"00-{TRACE}-short-01", f"00-{TRACE.upper()}-00f067aa0ba902b7-01"]
)
async def test_a_malformed_trace_is_ignored(server: Running, admin: Api, traceparent: str) -> None:
    """The call is answered, and gets a trace id of its own."""
    await called(admin, ("traceparent", traceparent))
    line = await only_line(server)
    assert line["code"] == "OK"
    assert len(line["trace_id"]) == 32
    assert line["trace_id"].lower() != TRACE


@pytest.mark.parametrize(
    "traceparent",
    [f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-00f067aa0ba902b7-01"],
)
async def test_a_trace_that_the_standard_forbids_is_ignored(server: Running, admin: Api, traceparent: str) -> None:
    """W3C Trace Context: an all-zero trace id or parent id is invalid, and so is version ff."""
    await called(admin, ("traceparent", traceparent))
    trace_id = (await only_line(server))["trace_id"]
    assert int(trace_id, 16)
    assert trace_id != TRACE


async def test_a_callers_request_id_is_kept_and_returned(server: Running, admin: Api) -> None:
    """In the log, and in the trailing metadata of responses and refusals alike."""
    for api in (admin, server.anonymous):
        server.log.clear()
        assert (await called(api, ("x-request-id", "cart-42.a_b")))["x-request-id"] == "cart-42.a_b"
        assert (await only_line(server))["call_id"] == "cart-42.a_b"


@pytest.mark.parametrize("sent", ["", "has blank", "a" * 65, 'quote"d', "new\\nline", None])
async def test_a_malformed_request_id_is_replaced(server: Running, admin: Api, sent: str | None) -> None:
    """A call without a valid id gets one from the server, in the log and in the response."""
    metadata = () if sent is None else (("x-request-id", sent),)
    returned = (await called(admin, *metadata))["x-request-id"]
    assert UUID(returned)
    assert (await only_line(server))["call_id"] == returned


async def test_payloads_are_in_no_line(server: Running, admin: Api, caplog: pytest.LogCaptureFixture) -> None:
    """Neither password, nor token, nor key, nor any other part of a payload, whether refused or not."""
    email, password = f"{uuid4()}@example.com", "correct horse battery"
    identity = server.anonymous.identity
    await identity.Register(identity_service_pb2.RegisterRequest(email=email, password=password))
    mailed = await token_for(server.mailbox, email)
    await identity.VerifyEmail(identity_service_pb2.VerifyEmailRequest(token=mailed))
    login = identity_service_pb2.LoginRequest(email=email, password=password)
    tokens = (await identity.Login(login)).tokens
    await refusal(identity.Login(identity_service_pb2.LoginRequest(email=email, password=password[::-1])))
    await identity.Refresh(identity_service_pb2.RefreshRequest(refresh_token=tokens.refresh_token))
    name = f"n{uuid4()}"
    created = await admin.access.CreateServiceAccount(
        access_service_pb2.CreateServiceAccountRequest(
            service_account=accounts_pb2.ServiceAccount(name=name, roles=["service"])
        )
    )
    await server.anonymous.access.ExchangeKey(access_service_pb2.ExchangeKeyRequest(key=created.secret))
    await admin.orders.PlaceOrder(ask((SOLD, 1), reference=f"reference of {name}"))
    await refusal(admin.catalog.GetProduct(catalog_service_pb2.GetProductRequest(sku=f"sku of {name}")))
    await server.idle()
    written = repr(server.log) + caplog.text
    assert len(server.log) == 9
    secrets = (password, password[::-1], mailed, tokens.access_token, tokens.refresh_token, created.secret, admin.token)
    for said in (*secrets, email, name, SOLD):
        assert said is not None
        assert said not in written


async def test_probes_are_logged_at_debug_level_only(server: Running) -> None:
    """They call continuously."""
    await checked(server.channel, "")
    assert (await only_line(server))["level"] == "debug"
