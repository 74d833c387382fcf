"""Webhooks during a database outage are not lost: their senders are told to retry."""

from storage.database import Database
from tests.faults.cluster import Cluster
from tests.fixtures.servers import running
from tests.webhooks.http import Post, sent
from tests.webhooks.kept import kept
from tests.webhooks.senders import NOW, SOURCES, standard


async def test_a_webhook_is_refused_while_the_database_is_stopped_and_its_copy_accepted(
    database: Database, cluster: Cluster
) -> None:
    """With 503 and a time to retry; an unsigned request is refused as always."""
    post = Post("billing", standard(b"{}"))
    forged = Post("billing", standard(b"{}"), b"[]")
    async with running(database, sources=SOURCES, now=lambda: NOW) as server:
        port = server.server.http_port
        async with cluster.stopped():
            refused = await sent(port, post)
            assert (refused.status, refused.headers["retry-after"]) == (503, "2")
            assert (await sent(port, forged)).status == 400
        assert (await sent(port, post)).status == 204
    assert (await kept(database)).counts == (1, 1)
