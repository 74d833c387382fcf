"""The database goes away and comes back: the server reports it, answers in time, and recovers without an operator."""

import grpc
import httpx

from backroom.commerce.v1 import catalog_service_pb2
from tests.commerce.goods import ask, stocked
from tests.contract.probes import becomes, checked
from tests.faults.cluster import Cluster
from tests.faults.load import until
from tests.fixtures.servers import Api, Running, refusal

SOON = 60.0
"""In seconds: how soon readiness must follow the database, however much else the machine does."""

LIST = catalog_service_pb2.ListProductsRequest()


async def ready_over_http(server: Running) -> tuple[int, str | None]:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{server.http}/readyz")
    return answer.status_code, answer.json().get("why")


async def test_readiness_follows_a_stopped_database_and_liveness_does_not(server: Running, cluster: Cluster) -> None:
    """Restarting the server would fix nothing; a load balancer must use another one."""
    async with cluster.stopped():
        await becomes(server.channel, "readiness", "NOT_SERVING", within=SOON)
        assert await checked(server.channel, "liveness") == "SERVING"
        assert await checked(server.channel, "") == "NOT_SERVING"
        assert await ready_over_http(server) == (503, "the database does not answer")
    await becomes(server.channel, "readiness", "SERVING", within=SOON)
    assert await ready_over_http(server) == (200, None)


async def test_calls_are_refused_while_the_database_is_stopped_and_succeed_after(
    service: Api, cluster: Cluster
) -> None:
    """Reads and writes are UNAVAILABLE, with a time to retry; afterwards they succeed without intervention."""
    await stocked(service, "TEA", 10)
    placed = ask(("TEA", 1))
    async with cluster.stopped():
        for call in (service.catalog.ListProducts(LIST), service.orders.PlaceOrder(placed)):
            found = await refusal(call)
            assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
            assert found.retry_after is not None
            assert found.retry_after > 0
    assert (await service.orders.PlaceOrder(placed)).order.unit_count == 1
    assert len((await service.catalog.ListProducts(LIST)).products) == 1


async def test_the_log_has_the_databases_own_message(server: Running, cluster: Cluster) -> None:
    """With the setting and what to do; the readiness probe reveals less."""
    async with cluster.stopped():
        await becomes(server.channel, "readiness", "NOT_SERVING", within=SOON)
        await until(lambda: bool(reasons(server)), within=SOON)
    why = reasons(server)[-1]
    assert why.startswith("DATABASE_URL: connection to server at ")
    assert "failed: " in why
    assert "; start PostgreSQL there" in why or "; wait until it is ready" in why
    await becomes(server.channel, "readiness", "SERVING", within=SOON)


def reasons(server: Running) -> list[str]:
    """The logged reasons why there is no connection."""
    lines = [line for line in server.log if line["event"] == "not_ready"]
    return [str(line["why"]) for line in lines if "connection to server" in str(line["why"])]
