"""Events as callers send and read them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from backroom.events.v1 import event_service_pb2 as pb
from backroom.events.v1 import events_pb2
from storage.database import Database
from tests.fixtures.http import plain_client
from tests.fixtures.servers import Api, Running, quick_passwords, running

EVENTS = "/events"


@asynccontextmanager
async def sending(database: Database, **settings: Any) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    """A server, and a client whose requests show a service's token."""
    async with (
        running(database, passwords=quick_passwords(), **settings) as server,
        plain_client(server.http, timeout=30) as client,
    ):
        client.headers["authorization"] = f"Bearer {(await server.sign_in('service')).token}"
        yield server, client


async def stored(api: Api, **wanted: Any) -> Mapping[str, events_pb2.Event]:
    """Up to 1,000 stored events by their ids."""
    request = pb.ListEventsRequest(page_size=1000, filter=pb.EventFilter(**wanted))
    return {each.id: each for each in (await api.events.ListEvents(request)).events}
