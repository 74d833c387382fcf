from collections.abc import AsyncIterator

import pytest

from storage.database import Database
from tests.fixtures.servers import Running, running
from tests.webhooks.outgoing import Outbox, outbox_on
from tests.webhooks.senders import NOW, SOURCES


@pytest.fixture
async def receiver(database: Database) -> AsyncIterator[Running]:
    """A server that accepts webhooks from SOURCES, whose time is always NOW, and which runs no jobs."""
    async with running(database, sources=SOURCES, now=lambda: NOW) as opened:
        yield opened


@pytest.fixture
async def outbox(database: Database) -> AsyncIterator[Outbox]:
    """The outgoing side on a separate database, which starts to follow the log now."""
    async with outbox_on(database) as opened:
        await opened.relayed()
        yield opened
