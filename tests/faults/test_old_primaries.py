"""An old primary that is back, or was never gone, beside the one that was promoted."""

import asyncio
from collections.abc import Iterator

import pytest

from storage.errors import StoreUnavailable
from storage.store import FRAME, FrameStore
from tests.faults.succession import Failover, Succession, opened


@pytest.fixture
def failover(succession: Succession) -> Iterator[Failover]:
    """A failover after which the old primary goes on."""
    name, standby = succession.new_database(), succession.standby()
    yield Failover(succession, name, standby)
    succession.primary.crash()
    succession.primary = standby


async def test_what_was_read_on_the_old_primary_is_not_confirmed_by_the_new_one(failover: Failover) -> None:
    """The new one does not have it; what is read from then on is confirmed."""
    await failover.keep()
    async with opened(failover.either) as database:
        store = database.store(FRAME)
        async with store.reading() as reading:
            await reading.environment.find()
            before = store.primaries_seen
            await asyncio.to_thread(failover.standby.promote)
            await asyncio.to_thread(refuse_connections, failover)
            async with store.transaction() as tx:  # on a connection of its own
                await tx.environment.find()
        with pytest.raises(StoreUnavailable, match="promoted"):
            await store.wait_for_standby(before)
        await store.wait_for_standby(store.primaries_seen)


async def test_connections_to_the_old_primary_end_once_the_new_one_is_seen(failover: Failover) -> None:
    """Otherwise a call might read what a promotion has undone, for as long as the old one runs."""
    await failover.keep()
    async with opened(failover.either) as database:
        with pytest.raises(StoreUnavailable, match="old primary"):
            await read_before_and_after_a_promotion(database.store(FRAME), failover)


async def read_before_and_after_a_promotion(store: FrameStore, failover: Failover) -> None:
    """On one connection, to the old primary, while another one leads to the new primary."""
    async with store.reading() as reading:
        await reading.environment.find()
        await asyncio.to_thread(failover.standby.promote)
        await asyncio.to_thread(refuse_connections, failover)
        async with store.transaction() as tx:
            await tx.environment.find()
        await reading.environment.find()


def refuse_connections(failover: Failover) -> None:
    """Has the old primary let no new session in; those that it has go on."""
    failover.succession.primary.ask(
        "UPDATE pg_database SET datallowconn = false WHERE datname = %s RETURNING datname", failover.name
    )
