"""Who can read the metrics, and what rendering them costs."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry, Counter

from server.process.http.metrics import CachedExposition, MetricsAccess, rendered
from server.settings import Address
from storage.database import Database
from tests.fixtures.http import plain_client
from tests.fixtures.servers import running

TOKEN = "scrape-scrape-scrape"


async def status(url: str, **headers: str) -> int:
    async with plain_client() as client:
        return (await client.get(url, headers=headers)).status_code


async def test_without_access_there_is_no_metrics_page(database: Database) -> None:
    """As in production, unless configured."""
    async with running(database, metrics_access=MetricsAccess(public=False)) as server:
        assert await status(f"{server.http}/metrics") == 404
        assert await status(f"{server.http}/healthz") == 200


async def test_only_the_token_grants_access(database: Database) -> None:
    """In full, as a bearer token; in production too."""
    async with running(database, metrics_access=MetricsAccess(public=False, token=TOKEN)) as server:
        url = f"{server.http}/metrics"
        assert await status(url, authorization=f"Bearer {TOKEN}") == 200
        for wrong in ({}, {"authorization": TOKEN}, {"authorization": f"Bearer {TOKEN}x"}, {"authorization": "Bearer"}):
            assert await status(url, **wrong) == 401
        assert TOKEN not in repr(MetricsAccess(token=TOKEN))


@pytest.mark.parametrize("public", [True, False])
async def test_a_separate_address_serves_only_the_metrics(database: Database, public: bool) -> None:
    """And the other address does not."""
    metrics_access = MetricsAccess(public=public)
    async with running(database, metrics_access=metrics_access, metrics_address=Address("127.0.0.1:0")) as server:
        own = f"http://127.0.0.1:{server.server.metrics_port}"
        assert await status(f"{server.http}/metrics") == 404
        assert await status(f"{own}/metrics") == 200
        assert await status(f"{own}/healthz") == 404


async def test_concurrent_and_soon_repeated_requests_share_one_rendering() -> None:
    """Then they are rendered again."""
    time, made = [0.0], list[asyncio.Event]()

    async def exposition() -> str:
        made.append(asyncio.Event())
        await made[-1].wait()
        return str(len(made))

    kept = CachedExposition(exposition, 1.0, lambda: time[0])
    asking = [asyncio.create_task(kept()) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0.01)
    made[0].set()
    assert await asyncio.gather(*asking[1:]) == ["1"] * 49
    time[0] = 0.9
    assert await kept() == "1"
    time[0] = 1.0
    later = asyncio.create_task(kept())
    await asyncio.sleep(0.01)
    made[1].set()
    assert await later == "2"


async def test_a_failure_is_not_cached() -> None:
    """The next request may succeed."""
    answers = iter([ConnectionError(), "good"])

    async def exposition() -> str:
        answer = next(answers)
        if isinstance(answer, ConnectionError):
            raise answer
        return str(answer)

    kept = CachedExposition(exposition, 60.0)
    with pytest.raises(ConnectionError):
        await kept()
    assert await kept() == "good"


async def test_metrics_rendered_in_a_thread_are_correct() -> None:
    """In Prometheus's text format."""
    registry = CollectorRegistry()
    Counter("things", "Things", registry=registry).inc(3)
    assert "things_total 3.0" in await rendered(registry)()
