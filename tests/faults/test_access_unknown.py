"""Access while the database does not respond."""

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import grpc
import pytest

from backroom.webhooks.v1 import webhook_service_pb2 as pb
from storage.database import Database
from storage.identity.store import IDENTITY
from storage.store import FRAME
from tests.contract.probes import becomes
from tests.faults.cluster import Cluster
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.servers import Running
from tests.identity.access_cache import WITHIN, within_a_second
from tests.identity.people import outcome
from tests.identity.sessions import begun

LIST = pb.ListEventTypesRequest()
"""A call that uses the database only to check access."""


async def test_no_caller_is_accepted_from_the_cache_after_the_database_froze(server: Running, cluster: Cluster) -> None:
    """A second later each call reads access again, and fails as others do; after the thaw calls succeed again."""
    person = await begun(server.application, server.channel, "manager")
    await person.api.webhooks.ListEventTypes(LIST)
    async with cluster.frozen():
        await asyncio.sleep(WITHIN)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await server.channel.unary_unary(
                "/backroom.webhooks.v1.WebhookService/ListEventTypes",
                request_serializer=pb.ListEventTypesRequest.SerializeToString,
            )(LIST, metadata=(("authorization", f"Bearer {person.api.token}"),), timeout=0.5)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await becomes(server.channel, "readiness", "SERVING", within=60)
    assert await outcome(person.api.webhooks.ListEventTypes(LIST)) == "done"


async def test_an_exhausted_pool_delays_no_revocation(server: Running, database_url: str) -> None:
    """Cached callers are served without it, and one whose access another server revokes is refused in a second."""
    person = await begun(server.application, server.channel, "manager")
    await server.application.identity.access_cache.poll()  # the first one, with an empty cache
    await person.api.webhooks.ListEventTypes(LIST)
    other = Database(database_url, audit_key=MASTER_KEYS.audit_key, pool_size=1)
    async with AsyncExitStack() as held:
        for _ in range(5):
            await held.enter_async_context(server.database.store(FRAME).transaction())
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert await outcome(person.api.webhooks.ListEventTypes(LIST)) == "done"
            await asyncio.sleep(0.05)
        async with other.store(IDENTITY).transaction() as tx:
            await tx.sessions.end(person.session.id, datetime.now(UTC))
            await tx.access_changes.add([person.session.account_id], datetime.now(UTC))
        await asyncio.sleep(WITHIN)
        still = asyncio.create_task(outcome(person.api.webhooks.ListEventTypes(LIST)))
        await asyncio.wait([still], timeout=0.3)
        assert not still.done()
    await within_a_second(lambda: still, "TOKEN_INVALID")
    await other.close()
