"""What every measurement gets: the database server, servers of Backroom, and durations."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

import migrations
from bench.postgres import Postgres
from bench.running import running, serving_line
from server.cli.database_changes import command_context
from server.frame.sealing import MasterKeys, new_master_key, read_master_key
from server.identity.use_cases import build_identity
from server.modules import permissions
from storage.database import Database
from storage.identity.store import IDENTITY
from storage.url import sibling

_TEMPLATE = "bench_template"
_MAX_REST_SECONDS, _POLL_SECONDS = 5.0, 0.25
"""In seconds."""
_IDLE = 0.1
"""The share of a core below which PostgreSQL counts as idle."""


@dataclass(frozen=True, slots=True)
class Backroom:
    """A server process of ours that is ready."""

    address: str
    http_address: str
    pid: int
    api_key: str = field(repr=False)
    """Of a service account with the role admin."""
    log: Path
    further_grpc: Mapping[str, str] = field(default_factory=dict)
    """Addresses by their settings' names."""


class Bench:
    """One run."""

    def __init__(self, url: str, *, long: bool, say: Callable[[str], None]) -> None:
        """`url` is the server's first database, as its superuser; `say` reports progress."""
        self.url = url
        self.long = long
        self.say = say
        self.postgres = Postgres.of(url)
        self._master_key = new_master_key()
        self._template = ""

    @property
    def rounds(self) -> int:
        return 5 if self.long else 2

    @property
    def seconds(self) -> float:
        """The length of a window."""
        return 4.0 if self.long else 1.5

    @property
    def warm_up(self) -> float:
        return 1.0 if self.long else 0.5

    def postgres_pids(self) -> tuple[int, ...]:
        return self.postgres.pids()

    async def rest(self) -> None:
        """Waits until PostgreSQL has finished the work of earlier windows, such as seals and vacuums.

        It takes at most 5 seconds: on a busy machine it may never be fully idle.
        """
        for _ in range(round(_MAX_REST_SECONDS / _POLL_SECONDS)):
            before = self.postgres.cpu()
            await asyncio.sleep(_POLL_SECONDS)
            if self.postgres.cpu() - before <= _IDLE * _POLL_SECONDS:
                return

    def database(self, name: str) -> str:
        """The URL of a new database, migrated and empty."""
        if not self._template:
            self._template = self.empty_database(_TEMPLATE)
            migrations.upgrade(self._template)
        return self._made(sql.SQL("CREATE DATABASE {} TEMPLATE {}"), name, _TEMPLATE)

    def empty_database(self, name: str) -> str:
        """The URL of a new database without tables, for a peer that has its own."""
        return self._made(sql.SQL("CREATE DATABASE {}"), name)

    def _made(self, statement: sql.SQL, *names: str) -> str:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.format(*map(sql.Identifier, names)))
        return sibling(self.url, names[0])

    @asynccontextmanager
    async def backroom(self, database_url: str, *options: str, **environment: str) -> AsyncIterator[Backroom]:
        """`backroom serve` with these options and settings, with everything enabled, on free ports of 127.0.0.1."""
        key = await self._service_key(database_url)
        settings = {
            "DATABASE_URL": database_url,
            "BACKROOM_MASTER_KEY": self._master_key,
            "BACKROOM_GRPC_ADDRESS": "127.0.0.1:0",
            "BACKROOM_HTTP_ADDRESS": "127.0.0.1:0",
            "LOG_FORMAT": "json",
            **environment,
        }
        command = (sys.executable, "-m", "server", "serve", *options)
        with running(command, env=settings, ready=serving_line) as process:
            line = serving_line(process.log)
            grpc, http = (f"127.0.0.1:{line[port]}" for port in ("grpc_port", "http_port"))
            further = {name: f"127.0.0.1:{port}" for name, port in line.get("further_grpc_ports", {}).items()}
            yield Backroom(grpc, http, process.pid, key, process.log, further)

    async def _service_key(self, database_url: str) -> str:
        """The key of a new account, created in the database as `backroom admin create-service-account` does."""
        keys = MasterKeys([read_master_key(self._master_key)])
        database = Database(database_url, audit_key=keys.audit_key, pool_size=1)
        identity = build_identity(database.store(IDENTITY), keys, permissions())
        try:
            await identity.keys.load()
            name = f"bench-{uuid4()}"
            return (await identity.api_keys.create_account(None, name, ["admin"], command_context("bench")))[1]
        finally:
            identity.passwords.close()
            await database.close()
