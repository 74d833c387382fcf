"""Flags kept in a database, and changed there, for tests of what is evaluated."""

from dataclasses import replace
from typing import Any

from storage.database import Database
from storage.flags.records import Flag
from storage.flags.store import FLAGS
from tests.flags.values import NOW


async def add(database: Database, *flags: Flag) -> int:
    """Stores new flags as one change, and returns its configuration version."""
    async with database.store(FLAGS).transaction() as tx:
        version = await tx.configuration.advance(NOW)
        for set_id in {each.flag_set_id for each in flags}:
            await tx.configuration.make_set(set_id, version, NOW)
        await tx.flags.add(flags, version)
        return version


async def change(database: Database, flag: Flag, **values: Any) -> tuple[Flag, int]:
    """Changes a flag, and returns it with the configuration version."""
    changed = replace(flag, **values)
    async with database.store(FLAGS).transaction() as tx:
        version = await tx.configuration.advance(NOW)
        await tx.flags.change([changed], version)
        return changed, version
