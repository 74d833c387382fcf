"""Unexpected errors: the caller gets only an id, under which the log says where it happened."""

import asyncio
from typing import Any, NoReturn

import grpc
import pytest

from backroom.commerce.v1 import order_service_pb2
from server.frame.batching import Batcher
from tests.commerce.goods import ask
from tests.contract.hostile import SOLD
from tests.contract.scrape import scraped
from tests.contract.stand_ins import get_me
from tests.fixtures.servers import Api, Running, refusal

TEXT = "the text of an error, with a payload in it"


async def explode(*_: Any, **__: Any) -> NoReturn:
    raise ValueError(TEXT) from KeyError(f"the cause of {TEXT}")


async def stray(*_: Any, **__: Any) -> NoReturn:
    raise asyncio.CancelledError(TEXT)


@pytest.mark.parametrize("defect", [explode, stray])
async def test_a_defect_is_answered_as_internal_and_reveals_nothing(
    server: Running, admin: Api, monkeypatch: pytest.MonkeyPatch, defect: Any
) -> None:
    """Not as UNKNOWN with the error's text, nor by leaving the caller waiting, as gRPC would."""
    monkeypatch.setattr(server.application.identity.accounts, "get", defect)
    found = await refusal(get_me(admin, timeout=10, metadata=(("x-request-id", "call-7"),)))
    assert (found.code, found.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert found.metadata == {"call_id": "call-7"}
    assert "text" not in found.message


@pytest.mark.parametrize(("defect", "kind"), [(explode, "ValueError from KeyError"), (stray, "CancelledError")])
async def test_a_defect_is_logged_with_its_place_and_not_its_text(
    server: Running,
    admin: Api,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    defect: Any,
    kind: str,
) -> None:
    """The line is at level error, and has the type of the error and where it was raised."""
    monkeypatch.setattr(server.application.identity.accounts, "get", defect)
    await refusal(get_me(admin))
    await server.idle()
    (line,) = server.log
    assert (line["level"], line["code"], line["reason"]) == ("error", "INTERNAL", "INTERNAL")
    assert line["fault"].startswith(f"{kind} at tests/contract/test_unforeseen.py:")
    assert "server/identity/servicer/identity.py" in line["fault"]
    assert TEXT not in repr(line) + caplog.text


@pytest.fixture
def placing(server: Running) -> Batcher[Any, Any]:
    """A method whose calls are batched."""
    (service,) = (each for each in server.application.services if each.name.endswith(".OrderService"))
    batcher: Batcher[Any, Any] = service.servicer._placing  # type: ignore[attr-defined]  # it is an object there
    return batcher


@pytest.mark.parametrize("defect", [explode, stray])
async def test_a_defect_in_a_batch_is_internal_for_each_of_its_calls(
    server: Running, admin: Api, monkeypatch: pytest.MonkeyPatch, placing: Batcher[Any, Any], defect: Any
) -> None:
    """No caller is left waiting, and the next batch runs."""
    with monkeypatch.context() as patched:
        patched.setattr(placing, "_run", defect)
        async with asyncio.timeout(60):
            found = await asyncio.gather(*(refusal(admin.orders.PlaceOrder(ask((SOLD, 1)))) for _ in range(3)))
    assert {(each.code, each.reason) for each in found} == {(grpc.StatusCode.INTERNAL, "INTERNAL")}
    await server.idle()
    assert TEXT not in repr(server.log)
    assert (await admin.orders.PlaceOrder(ask((SOLD, 1)))).order.order_id


async def test_a_defect_in_a_stream_is_internal(
    server: Running, admin: Api, monkeypatch: pytest.MonkeyPatch, placing: Batcher[Any, Any]
) -> None:
    """The stream ends with it."""
    monkeypatch.setattr(placing, "_run", explode)
    asks = [order_service_pb2.PlaceOrdersRequest(order=ask((SOLD, 1))) for _ in range(3)]
    found = await refusal(drained(admin.orders.PlaceOrders(iter(asks))))
    assert (found.code, found.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    await server.idle()
    assert TEXT not in repr(server.log)


async def drained(answers: Any) -> None:
    async for _ in answers:
        pass


async def test_a_defect_is_counted_as_internal(server: Running, admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The alert uses this counter."""
    labels = {"grpc_method": "GetMe", "grpc_code": "Internal"}
    before = (await scraped(server)).sum("grpc_server_handled_total", **labels)
    monkeypatch.setattr(server.application.identity.accounts, "get", explode)
    await refusal(get_me(admin))
    assert (await scraped(server)).sum("grpc_server_handled_total", **labels) == before + 1


async def test_the_server_answers_on_after_a_defect(
    server: Running, admin: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call's defect does not affect another call."""
    with monkeypatch.context() as patched:
        patched.setattr(server.application.identity.accounts, "get", stray)
        await refusal(get_me(admin))
    assert (await get_me(admin)).user.user_id == str(admin.account_id)
