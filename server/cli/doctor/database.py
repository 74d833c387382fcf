"""What the database says of itself."""

import asyncio
from collections.abc import Iterator

import migrations
from server.cli.doctor.finding import Finding, judged, noticed
from server.settings import Settings
from storage.database import Database
from storage.embedded import running_url
from storage.errors import StoreError


def database(configured: Settings) -> Iterator[Finding]:
    url = configured.database_url or running_url(configured.data_dir.absolute() / "postgres")
    if url is None:
        yield noticed("database", "the embedded one is not running", "make run")
        return
    try:
        revision = asyncio.run(_revision(url))
    except StoreError:
        yield judged("database", "does not answer", "start it, or correct DATABASE_URL")
        return
    head = migrations.head()
    behind = revision is None or revision < head
    found = f"answers, at migration {revision or 'none'} of {head}"
    yield judged("database", found, "backroom migrate" if behind else "")


async def _revision(url: str) -> str | None:
    database = Database(url, pool_size=1)
    try:
        return await database.revision()
    finally:
        await database.close()
