"""Whether the master key is there, and opens what is sealed."""

import asyncio
from collections.abc import Iterator

from server.cli.doctor.finding import Finding, State, judged, noticed
from server.frame.outages import described, fix
from server.frame.sealing import MasterKeys
from server.identity.credentials.keys import MasterKeyWrong, opened_material
from server.process.data_dir.master_key import master_keys
from server.process.failure import Failure
from server.settings import Settings
from storage.database import Database
from storage.errors import StoreError
from storage.identity.store import IDENTITY


def master_key(configured: Settings, url: str, *, migrated: bool) -> Iterator[Finding]:
    """Checks the keys of a migrated database; makes nothing, a master key neither."""
    kept = configured.data_dir / "master.key"
    here = configured.embedded and not configured.master_keys
    what = "the master key"
    if here and not kept.exists():
        yield judged(what, "is gone, and the database next to it is not", f"put it back as {kept}")
        return
    try:
        keys = master_keys(configured)
    except Failure as failure:
        _, _, why = str(failure).partition(": ")
        found, _, again = why.replace("; ", ": ", 1).partition(": ")
        yield judged(what, found, again)
        return
    if not migrated:
        yield Finding(what, "set; what it opens is seen once the database is migrated")
        return
    try:
        sealed, opened = asyncio.run(_opened(url, keys, configured))
    except StoreError as error:
        yield Finding(what, described(error), State.BROKEN, fix(error))
        return
    if opened < sealed:
        state = f"opens {opened} of the {sealed} keys that are sealed in the database"
        yield judged(what, state, "set the key that sealed them, or the new one and that one with a comma between")
    else:
        yield noticed(what, f"opens what is sealed: {sealed} keys" if sealed else "set; nothing is sealed yet", "")


async def _opened(url: str, keys: MasterKeys, configured: Settings) -> tuple[int, int]:
    """How many keys are sealed, and how many of those open."""
    database = Database(url, pool_size=1, pooler=configured.pooler, limits=configured.time_limits)
    try:
        async with database.store(IDENTITY).reading() as reading:
            sealed = [key for key in await reading.keys.list_all() if key.sealed]
    finally:
        await database.close()
    opened = 0
    for key in sealed:
        try:
            opened_material(key, keys)
            opened += 1
        except MasterKeyWrong:
            pass
    return len(sealed), opened
