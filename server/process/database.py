"""The database that the settings name, opened for a command."""

import signal
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext

import psycopg
from sqlalchemy.exc import DBAPIError

import migrations
from server.frame.outages import explained
from server.process.data_dir.disk_problems import full_disk
from server.process.data_dir.private_file import private_folder
from server.process.failure import Failure
from server.settings import Settings
from storage.connector import Opening
from storage.database import POOL_SIZE, Database
from storage.embedded import EmbeddedPostgres, EmbeddedPostgresFailed, NotInstalled
from storage.errors import StoreError
from storage.frame.records import AuditKey
from storage.pooler import Pooler

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """The URL to connect to; the embedded server runs at least as long as the block."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    folder = settings.data_dir.absolute()
    private_folder(folder)
    try:
        with _ended_in_order():
            server = EmbeddedPostgres(folder / "postgres")
            try:
                yield server.url
            finally:
                server.stop()
    except NotInstalled:
        raise Failure("DATABASE_URL: is not set, and the embedded PostgreSQL is not installed") from None
    except EmbeddedPostgresFailed as error:
        raise full_disk(folder) or Failure(f"BACKROOM_DATA_DIR: {error}") from None
    except (Failure, StoreError, DBAPIError, psycopg.Error):
        if (full := full_disk(folder)) is not None:
            raise full from None
        raise


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Has a command that is stopped, or whose terminal is closed, leave no server behind."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    handled = [number for number in _STOP_SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():  # which alone is told
        handled = []
    for number in handled:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


@asynccontextmanager
async def migrated_database(
    settings: Settings, *, audit_key: AuditKey | None = None, issuer: str | None = None
) -> AsyncIterator[Database]:
    """The database, at the newest migration; the embedded one is brought there.

    One that belongs to another than `issuer` is refused; None, for what only reads, takes any.
    """
    with database_url(settings) as url:
        async with ready_database(settings, url, audit_key=audit_key, pool_size=2, issuer=issuer) as database:
            yield database


@asynccontextmanager
async def ready_database(
    settings: Settings,
    url: str,
    *,
    audit_key: AuditKey | None = None,
    pool_size: int = POOL_SIZE,
    issuer: str | None = None,
) -> AsyncIterator[Database]:
    """The database of a URL, likewise."""
    database = database_of(settings, url, audit_key=audit_key, pool_size=pool_size, issuer=issuer)
    try:
        await migrated(settings, database, url)
        yield database
    except StoreError as error:
        raise Failure(explained(error)) from None
    finally:
        await database.close()


def database_of(
    settings: Settings,
    url: str,
    *,
    audit_key: AuditKey | None = None,
    pool_size: int = POOL_SIZE,
    issuer: str | None = None,
    opening: Opening = nullcontext,
    direct_url: str | None = None,
) -> Database:
    """The database of a URL, with those of what stands apart: as many connections to each, by the same limits, and
    behind the same kind of pooler."""

    def opened(url: str, pooler: Pooler, direct_url: str | None, apart: Mapping[str, Database]) -> Database:
        return Database(
            url,
            audit_key=audit_key,
            pool_size=pool_size,
            pooler=pooler,
            issuer=issuer,
            opening=opening,
            limits=settings.time_limits,
            direct_url=direct_url,
            apart=apart,
        )

    own = settings.all_databases_apart.items()
    apart = {name: opened(each.url, settings.database_pooler, None, {}) for name, each in own}
    return opened(url, settings.pooler, direct_url, apart)


async def migrated(settings: Settings, database: Database, url: str) -> None:
    """Brings the embedded database to the newest migration; raises Failure where another one is behind, or one of what
    stands apart."""
    try:
        revision = await database.revision()
    except StoreError as error:
        raise Failure(explained(error)) from None
    if revision != migrations.head() and settings.embedded:
        migrations.upgrade(url)
    elif lack := migrations.migration_problem(revision):
        raise Failure(lack)
    for name, own in database.apart.items():
        setting = settings.all_databases_apart[name].setting
        try:
            lack = migrations.migration_problem(await own.revision())
        except StoreError as error:
            raise Failure(explained(error, setting)) from None
        if lack:
            raise Failure(f"{setting}: {lack}")
