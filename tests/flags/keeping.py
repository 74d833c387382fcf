"""Flags stored in a database and changed there, as any server would, for tests of what is evaluated."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from storage.database import Database
from storage.flags.records import Flag, Segment
from storage.flags.store import FLAGS, FlagsTransaction
from tests.flags.values import NOW


@asynccontextmanager
async def changing(database: Database) -> AsyncIterator[tuple[FlagsTransaction, int]]:
    """One change of the configuration, with its version; the flag set "" exists."""
    async with database.store(FLAGS).transaction() as tx:
        version = await tx.configuration.advance(NOW)
        await tx.configuration.make_set("", version, NOW)
        yield tx, version


async def add(database: Database, *flags: Flag, segments: Sequence[Segment] = ()) -> int:
    """Stores new flags and segments as one change, and returns its configuration version."""
    async with changing(database) as (tx, version):
        for set_id in {each.flag_set_id for each in flags} | {each.flag_set_id for each in segments}:
            await tx.configuration.make_set(set_id, version, NOW)
        await tx.segments.add(segments, version)
        await tx.flags.add(flags, version)
    return version


async def change(database: Database, *flags: Flag, segments: Sequence[Segment] = ()) -> int:
    """Stores flags and segments that exist as one change, and returns its configuration version."""
    async with changing(database) as (tx, version):
        await tx.segments.change(segments, version)
        await tx.flags.change(flags, version)
    return version
