"""Servers of flags, for OFREP."""

from collections.abc import AsyncIterator

import httpx
import pytest

from storage.database import Database
from tests.fixtures.servers import Running
from tests.flags.ofrep import HERE, PAGE, serving


@pytest.fixture
async def opened(database: Database) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    """A server of which the flags are open to this machine."""
    async with serving(database, flags_open_to=HERE, flags_cors_origins=(PAGE,)) as both:
        yield both


@pytest.fixture
async def closed(database: Database) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    """A server where every caller needs a token."""
    async with serving(database) as both:
        yield both
