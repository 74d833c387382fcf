"""Signed-in connections that many callers share, reopened when one ends or its access token expires."""

import asyncio
import math
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import time
from typing import TypeAlias

from backroom.identity.v1.access_service_pb2 import ExchangeKeyRequest, ExchangeKeyResponse
from backroom_client.credentials import RENEW_BEFORE, Token, bearer, token_of
from load.calls import Stream
from load.http2 import Connection

_EXCHANGE_KEY = "/backroom.identity.v1.AccessService/ExchangeKey"

Unary: TypeAlias = Callable[[int, bytes], Awaitable[bytes]]
"""A unary method, by the number of its caller."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server's address, its TLS, and the account to sign in with."""

    address: str
    """host:port"""
    key: str = field(repr=False)
    """A service account's."""
    tls: ssl.SSLContext | None = None
    """None means in plain text; otherwise it must offer h2 by ALPN."""
    server_name: str | None = None
    """The name that the server's certificate must bear, where it is not the one in the address."""
    sign_in_address: str | None = None
    """host:port of the identity service, where that is not answered at the address."""


class Connections:
    """This many connections as one account; each caller uses one of them."""

    def __init__(self, server: Server, count: int, clock: Callable[[], float] = time) -> None:
        """`clock` returns the seconds since 1970."""
        self._server = server
        self._clock = clock
        self._token: Token | None = None
        self._renewing = asyncio.Lock()
        self._slots = [_Slot() for _ in range(count)]

    async def open(self) -> None:
        """Opens all of them; raises ConnectionError, and Failed if the key is refused."""
        for slot in self._slots:
            await self._renew(slot)

    def method(self, path: str) -> Unary:
        """A unary method; its calls raise what Connection's do."""

        async def call(caller: int, message: bytes) -> bytes:
            slot = self._slots[caller % len(self._slots)]
            if not slot.is_usable(self._clock()):
                await self._renew(slot)
            method = slot.methods.get(path) or slot.bind(path)
            return await method(message)

        return call

    async def stream(self, caller: int, path: str) -> Stream:
        """A call of a streaming method; it lasts at least as long as an access token is valid."""
        slot = self._slots[caller % len(self._slots)]
        if not slot.is_usable(self._clock()):
            await self._renew(slot)
        return await slot.connection.stream(path)

    async def close(self) -> None:
        for slot in self._slots:
            await slot.close()

    async def _renew(self, slot: "_Slot") -> None:
        """Of the callers that find a slot unusable, one reopens it, and the others wait for that."""
        async with self._renewing:
            if slot.is_usable(self._clock()):
                return
            if self._token is None or self._clock() >= _good_until(self._token):
                self._token = await self._sign_in()
            opened = await self._opened((bearer(self._token),))
            await slot.take(opened, _good_until(self._token))

    async def _sign_in(self) -> Token:
        connection = await self._opened((), self._server.sign_in_address)
        try:
            request = ExchangeKeyRequest(key=self._server.key).SerializeToString()
            answer = await connection.method(_EXCHANGE_KEY)(request)
        finally:
            await connection.close()
        return token_of(ExchangeKeyResponse.FromString(answer))

    async def _opened(self, metadata: tuple[tuple[str, str], ...], address: str | None = None) -> Connection:
        server = self._server
        address = address or server.address
        return await Connection.open(address, tls=server.tls, server_name=server.server_name, metadata=metadata)


class _Slot:
    """One connection after another."""

    def __init__(self) -> None:
        self.methods: dict[str, Callable[[bytes], Awaitable[bytes]]] = {}
        self._connections: list[Connection] = []
        """The current one, after earlier ones that still have calls under way."""
        self._good_until = -math.inf

    @property
    def connection(self) -> Connection:
        return self._connections[-1]

    def is_usable(self, now: float) -> bool:
        return now < self._good_until and not self._connections[-1].ending

    def bind(self, path: str) -> Callable[[bytes], Awaitable[bytes]]:
        method = self.methods[path] = self.connection.method(path)
        return method

    async def take(self, opened: Connection, good_until: float) -> None:
        """Uses this connection until that time."""
        for former in [former for former in self._connections if former.idle]:
            self._connections.remove(former)
            await former.close()
        self._connections.append(opened)
        self._good_until = good_until
        self.methods.clear()

    async def close(self) -> None:
        for connection in self._connections:
            await connection.close()
        self._connections.clear()
        self._good_until = -math.inf


def _good_until(token: Token) -> float:
    return (token.expire_time - RENEW_BEFORE).timestamp()
