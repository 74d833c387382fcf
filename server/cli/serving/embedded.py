"""What runs beside a server that has no database of its own: an embedded one, and a payment provider to try."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import migrations
from server.cli.admin import ensure_first_admin
from server.cli.opened import database_url
from server.cli.own_sandbox import Sandbox, own_sandbox
from server.frame.sealing import MasterKeys
from server.settings import Settings
from storage.database import Database


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the database is, and the sandbox, if one runs beside it."""

    url: str
    sandbox: Sandbox | None = None


@contextmanager
def surroundings(configured: Settings) -> Iterator[Surroundings]:
    """The database that is configured; an embedded one runs as long as the block, with its sandbox."""
    with own_sandbox(configured) as started, database_url(configured) as url:
        yield Surroundings(url, started.ready() if started else None)


async def prepare_embedded(configured: Settings, database: Database, keys: MasterKeys, url: str) -> str | None:
    """Migrates the embedded database, and returns the password of an admin that was made; other databases are left."""
    if not configured.embedded:
        return None
    if await database.revision() != migrations.head():
        await asyncio.to_thread(migrations.upgrade, url)
    return await ensure_first_admin(database, keys, configured.data_dir)


async def prepared_once(configured: Settings, keys: MasterKeys, url: str) -> str | None:
    """The same, before there is a server."""
    database = Database(url, audit_key=keys.audit_key, pool_size=1)
    try:
        return await prepare_embedded(configured, database, keys, url)
    finally:
        await database.close()


async def tell_sandbox(configured: Settings, sandbox: Sandbox | None, http_port: int) -> None:
    """Has the sandbox send its webhooks here, where there is one and they are received."""
    if sandbox is not None and "webhooks" in configured.modules:
        scheme = "https" if configured.http_tls else "http"
        await sandbox.tell(f"{scheme}://127.0.0.1:{http_port}/webhooks/sandbox")
