"""Successive primaries: each standby is copied from the current one, and replaces it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

import migrations
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.store import FRAME
from storage.url import sibling
from tests.faults.replication import either_url
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.postgres_nodes import Node, until
from tests.identity.access_cache import AccessFixture

SOON = 60.0
"""In seconds: far longer than anything here takes."""


class Succession:
    """A primary, and each standby that replaces it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._nodes: list[Node] = []
        self.primary = self._node()
        self.primary.make()
        self.primary.start()
        # Its commits would write to the disk what a test has kept from it.
        self.primary.ask("ALTER SYSTEM SET autovacuum = off")
        self.primary.ask("SELECT pg_reload_conf()")
        self.primary.ask("CREATE DATABASE template")
        migrations.upgrade(sibling(self.primary.url, "template"))

    def standby(self) -> Node:
        """A standby for which no commit waits."""
        node = self._node()
        node.copy_running(self.primary)
        node.start()
        return node

    def new_database(self) -> str:
        """The name of an empty, migrated database."""
        name = f"test_{uuid4().hex}"
        with psycopg.connect(self.primary.url, autocommit=True) as connection:
            made = sql.SQL("CREATE DATABASE {} TEMPLATE template STRATEGY FILE_COPY")
            connection.execute(made.format(sql.Identifier(name)))
        return name

    def caught_up(self, standby: Node) -> None:
        """Returns once the standby has everything so far."""
        ((end,),) = self.primary.ask("SELECT pg_logical_emit_message(true, 'test', '')::text")
        until(lambda: standby.ask("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", end) == [(True,)])

    def cut_off(self, standby: Node) -> None:
        """Stops replication to the standby."""
        standby.ask("ALTER SYSTEM SET primary_conninfo = ''")
        standby.ask("SELECT pg_reload_conf()")
        until(lambda: standby.ask("SELECT count(*) FROM pg_stat_wal_receiver") == [(0,)])

    def fail_over(self, standby: Node) -> None:
        """Stops the primary and promotes the standby."""
        self.primary.crash()
        standby.promote()
        self.primary = standby

    def write_no_more(self) -> None:
        """From here to the next crash, only what a commit waits for reaches the disk."""
        ((writer,),) = self.primary.ask("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")
        assert isinstance(writer, int)
        os.kill(writer, signal.SIGSTOP)

    def close(self) -> None:
        for node in self._nodes:
            node.discard()

    def _node(self) -> Node:
        self._nodes.append(Node(self._folder / str(len(self._nodes) + 1)))
        return self._nodes[-1]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url, audit_key=MASTER_KEYS.audit_key, pool_size=5)
    try:
        yield database
    finally:
        await database.close()


@dataclass
class Failover:
    """A database whose primary is about to be lost."""

    succession: Succession
    name: str
    standby: Node

    @property
    def url(self) -> str:
        """The URL of the database on the current primary."""
        return sibling(self.succession.primary.url, self.name)

    @property
    def either(self) -> str:
        """Its URL on whichever of the two is the primary."""
        return either_url(self.name, self.succession.primary, self.standby)

    async def keep(self) -> None:
        """Replicates everything so far; later changes will be lost."""
        await asyncio.to_thread(self.succession.caught_up, self.standby)
        await asyncio.to_thread(self.succession.cut_off, self.standby)

    async def happen(self) -> None:
        await asyncio.to_thread(self.succession.fail_over, self.standby)


async def answered(database: Database) -> None:
    """Returns once the database responds again, on working connections."""
    async with asyncio.timeout(SOON):
        while True:
            try:
                async with database.store(FRAME).transaction() as tx:
                    await tx.environment.find()
            except StoreUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


async def looked(door: AccessFixture) -> None:
    """Polls, as a server does, until that succeeds."""
    async with asyncio.timeout(SOON):
        while True:
            try:
                return await door.access_cache.poll()
            except StoreUnavailable:
                await asyncio.sleep(0.05)


def handed_out(url: str, count: int) -> int:
    """The last of this many transaction ids, whose transactions leave nothing behind."""
    with psycopg.connect(url) as connection:
        for _ in range(count):
            row = connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
            connection.rollback()
    assert row is not None
    return int(row[0])
