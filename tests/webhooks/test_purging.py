"""Old rows are purged, and those that may still be requested are not."""

from uuid import UUID

from server.webhooks.service import Purging
from server.webhooks.service.purging import RETENTION
from storage.database import Database
from storage.webhooks.records import DeliveryState
from storage.webhooks.store import WEBHOOKS
from tests.webhooks.outgoing import CALLER, Outbox, subscriber


async def generations(database: Database, endpoint_id: UUID) -> list[int]:
    async with database.store(WEBHOOKS).reading() as tx:
        found = [await tx.endpoints.find_secret(endpoint_id, generation) for generation in (1, 2, 3)]
    return [secret.generation for secret in found if secret]


async def test_old_deliveries_are_purged(outbox: Outbox) -> None:
    """Only finished ones, and not before their time."""
    purging = Purging(outbox.database.store(WEBHOOKS), outbox.now)
    async with subscriber() as shop:
        endpoint = await outbox.endpoint(shop.url)
        await outbox.happens("order.placed", "order.paid")
        await outbox.relayed()
        done, waiting = await outbox.sent(endpoint)
        await outbox.attempt(done)
        outbox.time += RETENTION
        await purging.purge()
        assert await outbox.sent(endpoint) == [await outbox.found(done), waiting]
        outbox.moves(seconds=1)
        await purging.purge()
        assert await outbox.sent(endpoint) == [waiting]
        await outbox.attempt(waiting)
        await purging.purge()
        assert await outbox.sent(endpoint, state=DeliveryState.SUCCEEDED) == []


async def test_a_secret_is_kept_as_long_as_a_repeated_request_may_return_it(outbox: Outbox) -> None:
    """For a month after its creation, however soon it ended; and the newest always."""
    purging = Purging(outbox.database.store(WEBHOOKS), outbox.now)
    endpoint = await outbox.endpoint()
    await outbox.endpoints.rotate(CALLER, endpoint.id, outbox.ask)
    outbox.moves(days=2)
    await purging.purge()
    assert await generations(outbox.database, endpoint.id) == [1, 2]
    outbox.time += RETENTION
    await outbox.endpoints.rotate(CALLER, endpoint.id, outbox.ask)
    await purging.purge()
    assert await generations(outbox.database, endpoint.id) == [2, 3]
    outbox.moves(days=1, seconds=1)
    await purging.purge()
    assert await generations(outbox.database, endpoint.id) == [3]
    outbox.time += 2 * RETENTION
    await purging.purge()
    assert await generations(outbox.database, endpoint.id) == [3]
