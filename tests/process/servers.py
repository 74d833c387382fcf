"""Servers in this process that a test stops itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from server.application import Application
from server.process.server import Server
from server.settings import Address
from storage.database import Database
from tests.fixtures.applications import QUIET, application_of
from tests.fixtures.servers import Api, sign_in


@dataclass
class Opened:
    """A server that its fixture does not stop."""

    application: Application
    server: Server
    channel: grpc.aio.Channel

    async def sign_in(self, *roles: str) -> Api:
        return await sign_in(self.application, self.channel, roles)


@asynccontextmanager
async def opened(database: Database) -> AsyncIterator[Opened]:
    """A server that answers; the block must stop it."""
    application = application_of(database, QUIET)
    server = Server(application, Address("127.0.0.1:0"), Address("127.0.0.1:0"), QUIET)
    await server.start()
    # Otherwise a caller that does not read lets the more arrive, up to all there is, the slower the machine is.
    options = (("grpc.http2.bdp_probe", 0),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}", options=options) as channel:
        yield Opened(application, server, channel)
