"""Whom the metrics are shown to, and what showing them costs."""

import asyncio

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from server.process.http.metrics import CachedExposition, MetricsAccess, rendered
from server.settings import Address
from storage.database import Database
from tests.fixtures.servers import running

TOKEN = "scrape-scrape-scrape"


async def status(url: str, **headers: str) -> int:
    async with httpx.AsyncClient() as client:
        return (await client.get(url, headers=headers)).status_code


async def test_a_server_that_shows_them_to_nobody_knows_no_such_page(database: Database) -> None:
    """As in production, where nothing else is said."""
    async with running(database, metrics_access=MetricsAccess(public=False)) as server:
        assert await status(f"{server.http}/metrics") == 404
        assert await status(f"{server.http}/healthz") == 200


async def test_a_token_opens_them_and_nothing_else_does(database: Database) -> None:
    """Whole, as a bearer token; in production too."""
    async with running(database, metrics_access=MetricsAccess(public=False, token=TOKEN)) as server:
        url = f"{server.http}/metrics"
        assert await status(url, authorization=f"Bearer {TOKEN}") == 200
        for wrong in ({}, {"authorization": TOKEN}, {"authorization": f"Bearer {TOKEN}x"}, {"authorization": "Bearer"}):
            assert await status(url, **wrong) == 401
        assert TOKEN not in repr(MetricsAccess(token=TOKEN))


@pytest.mark.parametrize("public", [True, False])
async def test_at_an_address_of_their_own_they_are_there_and_nowhere_else(database: Database, public: bool) -> None:
    """And nothing else is there."""
    metrics_access = MetricsAccess(public=public)
    async with running(database, metrics_access=metrics_access, metrics_address=Address("127.0.0.1:0")) as server:
        own = f"http://127.0.0.1:{server.server.metrics_port}"
        assert await status(f"{server.http}/metrics") == 404
        assert await status(f"{own}/metrics") == 200
        assert await status(f"{own}/healthz") == 404


async def test_they_are_rendered_once_for_all_who_ask_at_once_and_for_a_while() -> None:
    """Then anew."""
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


async def test_a_failure_is_not_kept() -> None:
    """Who asks next may be answered."""
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


async def test_what_is_rendered_beside_the_loop_is_what_was_counted() -> None:
    """In Prometheus's text format."""
    registry = CollectorRegistry()
    Counter("things", "Things", registry=registry).inc(3)
    assert "things_total 3.0" in await rendered(registry)()
