"""How a world is set up, and taken down again whatever its state."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from backroom.webhooks.v1 import endpoints_pb2
from backroom.webhooks.v1.webhook_service_pb2 import CreateEndpointRequest
from backroom_client import AsyncBackroom, Key
from tests.failover.callers import open_shop
from tests.failover.cluster import Template, replicating
from tests.failover.programs import Program, Server
from tests.failover.proxy import passing_on
from tests.failover.readiness import Readiness
from tests.failover.watchers import Watcher
from tests.failover.world import ALL_EVENTS, Shape, World
from tests.fixtures.keys import MASTER_KEY
from tests.fixtures.sandbox import KEY, WEBHOOK_SECRET, Sandbox, providing
from tests.webhooks.outgoing import Subscriber, subscriber

_EVENTS = ("order.placed", "order.paid", "order.fulfilled", "order.cancelled", "order.expired", "order.refunded")
_WATCHED = ("", "customer-0", "customer-1", "")
"""Whose orders each watcher receives; empty means all. The last one is the late one."""


@asynccontextmanager
async def running(made: Template, shape: Shape) -> AsyncIterator[World]:
    """A world without callers; all of it ends with the block."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="world-", dir=made.folder)))
        cluster = await stack.enter_async_context(replicating(made))
        proxied = cluster.nodes if shape.proxied else ()
        proxies = [await stack.enter_async_context(passing_on(node.port)) for node in proxied]
        sandbox = await stack.enter_async_context(providing(folder / "sandbox.sqlite"))
        receiver = await stack.enter_async_context(subscriber())
        url = cluster.url(*(proxy.port for proxy in proxies))
        environment = {"DATABASE_URL": url, **_settings(folder, sandbox)}
        servers, workers = await _programs(stack, shape, environment)
        doors = [await stack.enter_async_context(AsyncBackroom(each.address, Key(made.key))) for each in servers]
        await sandbox.behave(webhook_url=f"{servers[0].web}/webhooks/sandbox")
        await _opened(doors[0], receiver)
        *watchers, late = await _watching(stack, servers, made.key)
        yield World(
            cluster=cluster,
            servers=servers,
            workers=workers,
            proxies=proxies,
            readiness=await _asked(stack, servers),
            doors=doors,
            watchers=watchers,
            late=late,
            sandbox=sandbox,
            receiver=receiver,
            environment=environment,
            key=made.key,
        )


def _settings(folder: Path, sandbox: Sandbox) -> dict[str, str]:
    return {
        "BACKROOM_MASTER_KEY": MASTER_KEY,
        "BACKROOM_DATA_DIR": str(folder),
        "BACKROOM_MAIL": "file",
        "BACKROOM_CALLS_PER_SECOND": "0",
        "BACKROOM_HOLD_SECONDS": "86400",  # orders that expire while a round is judged would differ from its snapshot
        "BACKROOM_PAYMENT_PROVIDER": "sandbox",
        "BACKROOM_SANDBOX_URL": sandbox.url,
        "BACKROOM_SANDBOX_KEY": KEY,
        "BACKROOM_SANDBOX_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "BACKROOM_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "LOG_FORMAT": "json",
    }


async def _programs(
    stack: AsyncExitStack, shape: Shape, environment: dict[str, str]
) -> tuple[list[Server], list[Program]]:
    """The servers and the workers, all of which work."""
    servers = [Server(*_options(shape), environment=environment) for _ in range(2)]
    workers = [Program("worker", ready="working", environment=environment) for _ in range(shape.workers)]
    await asyncio.gather(*(_started(stack, program) for program in [*servers, *workers]))
    return servers, workers


def _options(shape: Shape) -> list[str]:
    several = ["--workers", str(shape.processes)] if shape.processes > 1 else []
    return [*several, *(["--no-worker"] if shape.workers else [])]


async def _started(stack: AsyncExitStack, program: Program) -> None:
    stack.push_async_callback(program.kill)
    await program.start()


async def _opened(door: AsyncBackroom, receiver: Subscriber) -> None:
    """There are products to sell, and an endpoint that receives each order."""
    await open_shop(door)
    endpoint = endpoints_pb2.Endpoint(
        url=receiver.url.replace("/hook", ALL_EVENTS), description="all", event_types=_EVENTS
    )
    await door.webhooks.CreateEndpoint(CreateEndpointRequest(endpoint=endpoint))


async def _watching(stack: AsyncExitStack, servers: Sequence[Server], key: str) -> list[Watcher]:
    """They use whichever server answers, by gRPC's own choice."""
    either = "ipv4:" + ",".join(server.address for server in servers)
    watchers = []
    for customer in _WATCHED:
        watcher = Watcher(await stack.enter_async_context(AsyncBackroom(either, Key(key))), customer)
        stack.push_async_callback(watcher.stop)
        await watcher.start()
        watchers.append(watcher)
    return watchers


async def _asked(stack: AsyncExitStack, servers: Sequence[Server]) -> list[Readiness]:
    client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
    readiness = [Readiness(client, server.web) for server in servers]
    for each in readiness:
        stack.push_async_callback(each.stop)
        each.start()
    return readiness
