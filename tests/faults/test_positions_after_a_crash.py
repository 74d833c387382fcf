"""After a crash, the database assigns again the ids of transactions that had ended without a trace on its disk."""

import asyncio

from backroom.commerce.v1.order_service_pb2 import WatchOrdersRequest
from storage.database import Database
from storage.identity.store import IDENTITY
from storage.url import sibling
from tests.commerce.goods import placed, stocked
from tests.commerce.watched import begun, received
from tests.faults.succession import Succession, answered, handed_out, looked, opened
from tests.fixtures.servers import running
from tests.identity.access_cache import AccessFixture
from tests.identity.records import auditing_on, entry, recorded, verified
from tests.webhooks.outgoing import outbox_on

LOST = 30
"""How many transaction ids are assigned again."""


async def crash(succession: Succession, url: str, database: Database, last: int) -> None:
    """The database crashes and restarts, and assigns again the ids up to this one, of LOST transactions."""
    await asyncio.to_thread(succession.primary.crash)
    await asyncio.to_thread(succession.primary.start)
    await answered(database)
    assert handed_out(url, 1) < last - LOST / 2


async def test_an_order_after_a_crash_is_sent_and_relayed(succession: Succession) -> None:
    """Although it has the id of a transaction that had ended when the token was issued, without a trace on the disk."""
    url = sibling(succession.primary.url, succession.new_database())
    async with opened(url) as database, running(database) as server, outbox_on(database) as outbox:
        service = await server.sign_in("service")
        await stocked(service, "A", 1000)
        endpoint = await outbox.endpoint()
        await placed(service, ("A", 1))
        await outbox.relayed()
        succession.write_no_more()
        last = handed_out(url, LOST)
        token = await begun(service.orders.WatchOrders(WatchOrdersRequest()))
        await crash(succession, url, database, last)
        new = [(await placed(service, ("A", 1))).order_id for _ in range(5)]
        handed_out(url, 2 * LOST)
        messages = await received(service.orders.WatchOrders(WatchOrdersRequest(resume_token=token)), 5)
        assert [message.order.order_id for message in messages] == new
        await outbox.relayed()
        assert len(await outbox.sent(endpoint)) == 5


async def test_a_revocation_after_a_crash_is_noticed(succession: Succession) -> None:
    """Its id was that of a transaction which had ended at the last poll, without a trace on the disk."""
    url = sibling(succession.primary.url, succession.new_database())
    async with opened(url) as database:
        door = AccessFixture(database)
        token, account, _ = await door.enter("manager")
        succession.write_no_more()
        last = handed_out(url, LOST)
        await door.access_cache.poll()
        assert await door.permissions(token)
        await crash(succession, url, database, last)
        async with database.store(IDENTITY).transaction() as tx:
            await tx.accounts.revoke(account.id, "manager")
            await tx.access_changes.add([account.id], door.time)
        handed_out(url, 2 * LOST)
        await looked(door)
        assert await door.permissions(token) == frozenset()


async def test_the_record_is_sealed_completely_after_a_crash(succession: Succession) -> None:
    """Each entry from before and after has one place."""
    url = sibling(succession.primary.url, succession.new_database())
    async with opened(url) as database:
        await recorded(database, entry(1))
        succession.write_no_more()
        handed_out(url, LOST)
        assert await auditing_on(database).seal() == 1
        await crash(succession, url, database, handed_out(url, LOST))
        for number in range(5):
            await recorded(database, entry(2 + number))
        assert await auditing_on(database).seal() == 5
        found = await verified(database)
        assert (found.verified, found.complete, found.fault) == (6, True, None)
