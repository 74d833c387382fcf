"""What runs beside a server that has no database of its own: an embedded one, and a payment provider to try."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import migrations
from server.frame.sealing import MasterKeys
from server.process.data_dir.first_admin import ensure_first_admin
from server.process.data_dir.own_sandbox import Sandbox, own_sandbox
from server.process.database import database_url
from server.process.failure import Failure
from server.settings import Settings
from storage.database import Database
from storage.embedded.locks import FileLock

_TURN_WITHIN_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class LocalServices:
    """Where the database is, and the sandbox, if one runs beside it."""

    url: str
    sandbox: Sandbox | None = None


@contextmanager
def local_services(configured: Settings) -> Iterator[LocalServices]:
    """The database that is configured; an embedded one runs as long as the block, with its sandbox."""
    with own_sandbox(configured) as started, database_url(configured) as url:
        yield LocalServices(url, started.ready() if started else None)


async def prepare_embedded(configured: Settings, database: Database, keys: MasterKeys, url: str) -> str | None:
    """Migrates the embedded database, and returns the password of an admin that was made; other databases are left.

    Of two that do so at once, one waits for the other.
    """
    if not configured.embedded:
        return None
    async with _alone(configured.data_dir):
        if await database.revision() != migrations.head():
            await asyncio.to_thread(migrations.upgrade, url)
        return await ensure_first_admin(database, keys, configured.data_dir)


@asynccontextmanager
async def _alone(data_dir: Path) -> AsyncIterator[None]:
    lock = FileLock(data_dir / "first-start.lock")
    try:
        if not await asyncio.to_thread(lock.take, _TURN_WITHIN_SECONDS):
            raise Failure(f"BACKROOM_DATA_DIR: the process {lock.holder()} has been preparing {data_dir}; end it")
        yield
    finally:
        lock.close()


async def prepare_once(configured: Settings, keys: MasterKeys, url: str) -> str | None:
    """The same, before there is a server."""
    database = Database(url, audit_key=keys.audit_key, pool_size=1, issuer=configured.issuer)
    try:
        return await prepare_embedded(configured, database, keys, url)
    finally:
        await database.close()


async def connect_sandbox(configured: Settings, sandbox: Sandbox | None, http_port: int) -> None:
    """Has the sandbox send its webhooks here, where there is one and they are received."""
    if sandbox is not None and "webhooks" in configured.modules:
        scheme = "https" if configured.http_tls else "http"
        await sandbox.set_webhook_url(f"{scheme}://127.0.0.1:{http_port}/webhooks/sandbox")
