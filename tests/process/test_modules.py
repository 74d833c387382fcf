"""Modules that are served in separate processes."""

import grpc
import pytest

from backroom.identity.v1 import identity_service_pb2
from tests.commerce.goods import ask, stock_of, stocked
from tests.contract.probes import checked
from tests.fixtures.processes import serving
from tests.fixtures.servers import Api, refusal


@pytest.mark.slow
async def test_a_process_serves_only_the_configured_modules(service: Api, database_url: str) -> None:
    """Commerce alone accepts the tokens that another process on the same database issued, without serving identity."""
    async with (
        serving(database_url, anew=True, BACKROOM_MODULES="commerce") as commerce,
        grpc.aio.insecure_channel(commerce.address) as channel,
    ):
        there = Api(channel, service.token, service.account_id)
        await stocked(there, "TEA", 5)
        await there.orders.PlaceOrder(ask(("TEA", 2)))
        assert await stock_of(service, "TEA") == (5, 2, 3)
        for call in (there.identity.GetMe(identity_service_pb2.GetMeRequest()), there.identity.Login(LOGIN)):
            found = await refusal(call)
            assert (found.code, found.reason) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")
        assert await checked(channel, "backroom.commerce.v1.OrderService") == "SERVING"
        assert await checked(channel, "backroom.identity.v1.IdentityService") == "NOT_FOUND"


LOGIN = identity_service_pb2.LoginRequest(email="a@example.com", password="irrelevant")
