"""A server waits for its migrations."""

import asyncio

import migrations
from storage.database import Database
from tests.contract.probes import becomes, checked
from tests.process.servers import opened


async def test_a_server_on_an_old_database_is_not_ready_until_it_is_migrated(empty_url: str) -> None:
    """It says why, and needs no restart."""
    database = Database(empty_url, pool_size=2)
    async with opened(database) as running:
        assert await checked(running.channel, "readiness") == "NOT_SERVING"
        assert running.application.health.reason == migrations.migration_problem(None)
        await asyncio.to_thread(migrations.upgrade, empty_url)
        await becomes(running.channel, "readiness", "SERVING", within=60)
        await running.server.stop()
    await database.close()
