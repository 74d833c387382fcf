"""A database that goes back to an earlier state under servers that run, as when a backup is restored."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest

from flagd.sync.v1 import sync_service_pb2 as sync
from storage.database import Database
from storage.flags.store import FLAGS
from tests.fixtures.http import plain_client
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.pgbouncer import POOLER
from tests.fixtures.servers import Running
from tests.flags.keeping import add, change
from tests.flags.ofrep import ALL, Events, url_of
from tests.flags.values import flag, segment
from tests.flags.wire import Flagd, serving_flags, told

TABLES = ("flags.configuration", "flags.flag_sets", "flags.segments", "flags.flags")
"""In the order in which rows may be stored again."""
EMPTY = [f"DELETE FROM {table}" for table in reversed(TABLES)]


@asynccontextmanager
async def servers(url: str, count: int) -> AsyncIterator[list[tuple[Running, httpx.AsyncClient]]]:
    """Several on one database, with a client of OFREP's each."""
    async with AsyncExitStack() as opened:
        found = []
        for _ in range(count):
            database = Database(url, audit_key=MASTER_KEYS.audit_key, pool_size=3, pooler=POOLER)
            opened.push_async_callback(database.close)
            server = await opened.enter_async_context(serving_flags(database, ofrep_calls_per_second=0.0))
            client = await opened.enter_async_context(plain_client(server.http, timeout=30))
            found.append((server, client))
        yield found


async def execute(url: str, *statements: str) -> None:
    """In one transaction, and past any server."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for statement in statements:
            await connection.execute(statement.encode())


def copy_of(table: str) -> str:
    return table.replace("flags.", "backup.", 1)


async def back_up(url: str) -> None:
    copies = [f"CREATE TABLE {copy_of(table)} AS SELECT * FROM {table}" for table in TABLES]
    await execute(url, "CREATE SCHEMA backup", *copies)


async def restore(url: str) -> None:
    """As a restore leaves the database: nobody is notified, and the configuration version is that of the backup."""
    await execute(url, *EMPTY, *(f"INSERT INTO {table} SELECT * FROM {copy_of(table)}" for table in TABLES))


async def answers(client: httpx.AsyncClient, **headers: str) -> tuple[int, dict[str, Any], str]:
    """The status, the values by flag, and the entity tag."""
    answer = await client.post(ALL, json={}, headers=headers)
    values = {each["key"]: each["value"] for each in answer.json()["flags"]} if answer.content else {}
    return answer.status_code, values, answer.headers["etag"]


async def become(client: httpx.AsyncClient, wanted: dict[str, Any]) -> str:
    """Returns the entity tag once a server evaluates to this."""
    async with asyncio.timeout(30):
        while True:
            with suppress(httpx.TransportError):  # on a busy machine a connection may be ended for being slow
                _, values, etag = await answers(client)
                if values == wanted:
                    return etag
            await asyncio.sleep(0.1)


async def version_of(database: Database) -> int:
    async with database.store(FLAGS).reading() as reading:
        return await reading.configuration.version()


@pytest.fixture
async def two(database_url: str, database: Database) -> AsyncIterator[list[tuple[Running, httpx.AsyncClient]]]:
    """Two servers that evaluate what was changed after a backup: a flag is on, one is new, and one is archived."""
    kept, gone = flag("kept", targeting={"$ref": "everybody"}), flag("archived")
    everybody = segment("everybody", {"if": [True, "off"]})
    await add(database, kept, gone, segments=[everybody])
    await back_up(database_url)
    await add(database, flag("new"))
    archived = replace(gone, archived=True, version=2)
    await change(database, archived, segments=[replace(everybody, rule={"if": [True, "on"]}, version=2)])
    async with servers(database_url, 2) as found:
        for _, client in found:
            await become(client, {"kept": True, "new": False})
        yield found


BEFORE = {"kept": False, "archived": False}


async def test_after_a_restore_every_server_evaluates_what_was_restored(
    two: Sequence[tuple[Running, httpx.AsyncClient]], database_url: str, database: Database
) -> None:
    """Also what was changed or made after the backup, and the version goes on above all that clients have seen."""
    seen = await version_of(database)
    etags = [(await answers(client))[2] for _, client in two]
    await restore(database_url)
    new = [await become(client, BEFORE) for _, client in two]
    assert not set(new) & set(etags)
    assert await version_of(database) > seen
    for _, client in two:
        for etag in etags:
            assert (await answers(client, **{"if-none-match": etag}))[:2] == (200, BEFORE)


async def test_after_a_restore_clients_that_listen_are_told(
    two: Sequence[tuple[Running, httpx.AsyncClient]], database_url: str, database: Database
) -> None:
    """By both of flagd's streams, and by server-sent events under a version that is newer than those before."""
    seen = await version_of(database)
    (server, client), (other, _) = two
    events = Flagd(other.channel).events()
    assert told(await events.read()) == ("provider_ready", {})
    syncing = Flagd(server.channel).sync.SyncFlags(sync.SyncFlagsRequest())
    assert '"new"' in (await syncing.read()).flag_configuration
    async with client.stream("GET", await url_of(client)) as response:
        await restore(database_url)
        async with asyncio.timeout(30):
            assert told(await events.read()) == (
                "configuration_change",
                {"kept": "update", "new": "delete", "archived": "create"},
            )
            assert '"new"' not in (await syncing.read()).flag_configuration
        assert int((await Events(response).next())["id"]) > seen
    events.cancel()
    syncing.cancel()


async def test_a_change_right_after_a_restore_hides_nothing_of_it(
    two: Sequence[tuple[Running, httpx.AsyncClient]], database_url: str
) -> None:
    """The version is newer than before at once: all flags are read again, and not what seems to be new alone."""
    await execute(
        database_url,
        # No server sees the restored version: the change is committed together with it.
        "UPDATE backup.configuration SET earlier_versions = ARRAY[version],"
        " version = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
        "UPDATE backup.flags SET document = jsonb_set(document, '{default_variant}', '\"on\"'),"
        " configuration_version = (SELECT version FROM backup.configuration) WHERE key = 'archived'",
    )
    await restore(database_url)
    for _, client in two:
        await become(client, {"kept": False, "archived": True})


async def test_a_restore_to_before_the_first_flag_leaves_none(
    two: Sequence[tuple[Running, httpx.AsyncClient]], database_url: str, database: Database
) -> None:
    """And flags that are made later are there."""
    etag = (await answers(two[0][1]))[2]
    await execute(database_url, *EMPTY)
    for _, client in two:
        await become(client, {})
        assert (await answers(client, **{"if-none-match": etag}))[0] == 200
    await add(database, flag("first"))
    for _, client in two:
        await become(client, {"first": False})


async def test_the_version_goes_on_above_what_clients_saw_by_a_clock_that_is_behind(
    two: Sequence[tuple[Running, httpx.AsyncClient]], database_url: str, database: Database
) -> None:
    """A version that no clock has reached yet is kept above, too."""
    hour_ahead = "UPDATE flags.configuration SET version = version + 3600000000, earlier_versions = ARRAY[version]"
    await execute(database_url, hour_ahead)
    ahead = await version_of(database)
    for _, client in two:  # they wait for a version that a client was told of
        await client.post(ALL, params={"flagConfigEtag": str(ahead)})
    await restore(database_url)
    for _, client in two:
        await become(client, BEFORE)
    assert await version_of(database) > ahead
