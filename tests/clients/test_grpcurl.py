"""grpcurl with reflection: everything that it lists can be described and called."""

import json
from pathlib import Path

import pytest

from tests.clients.conftest import contract, said
from tests.commerce.goods import stocked
from tests.contract.methods import METHODS, SERVICES
from tests.fixtures.servers import Api, Running

pytestmark = pytest.mark.clients


async def test_grpcurl_describes_all_that_it_lists(server: Running, grpcurl: Path) -> None:
    """Services, their methods, and everything else that has a name."""
    listed = (await said(grpcurl, "-plaintext", server.address, "list")).split()
    assert {service.full_name for service in SERVICES} < set(listed)
    for service in listed:
        assert f"{service} is a service:" in await said(grpcurl, "-plaintext", server.address, "describe", service)
    for name, kind in (
        (str(METHODS[0]).removeprefix("/").replace("/", "."), "a method"),
        ("grpc.health.v1.Health.Watch", "a method"),
        ("grpc.reflection.v1.ServerReflection.ServerReflectionInfo", "a method"),
        ("backroom.commerce.v1.Order", "a message"),
        ("backroom.commerce.v1.Order.order_id", "a field"),
        ("backroom.commerce.v1.GetProductRequest.key", "a one-of"),
        ("backroom.commerce.v1.OrderState", "an enum"),
        ("backroom.commerce.v1.OrderState.ORDER_STATE_PAID", "an enum value"),
        ("backroom.common.v1.access", "an extension"),
    ):
        assert f"{name} is {kind}" in await said(grpcurl, "-plaintext", server.address, "describe", name)


async def test_grpcurl_calls(server: Running, service: Api, grpcurl: Path) -> None:
    """With names from reflection only."""
    await stocked(service, "TEA", 10)
    order = json.dumps({"lines": [{"sku": "TEA", "quantity": 2}]})
    header = f"authorization: Bearer {service.token}"
    method = "backroom.commerce.v1.OrderService/PlaceOrder"
    answer = await said(grpcurl, "-plaintext", "-H", header, "-d", order, server.address, method)
    assert json.loads(answer)["order"]["state"] == "ORDER_STATE_PENDING"


async def test_buf_lists_every_method(server: Running) -> None:
    """`buf curl --list-methods` describes each service of the list."""
    with contract.buf() as buf:
        plain = ("--http2-prior-knowledge", "--protocol", "grpc")
        listed = (await said(buf, "curl", *plain, "--list-methods", f"http://{server.address}")).split()
    assert {str(method).removeprefix("/") for method in METHODS} < set(listed)
    assert "grpc.health.v1.Health/Check" in listed
