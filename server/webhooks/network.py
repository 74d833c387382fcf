"""Connecting to addresses that were checked, whatever their names stand for."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

import httpcore

from server.frame.addresses import Address, Network, literal
from server.webhooks.bounded_stream import BoundedStream
from server.webhooks.rules.urls import permitted

_MAX_ADDRESSES = 4
"""How many of a name's addresses are tried."""
_CONCURRENCY = 400
"""How many names are looked up at once: as many as there are attempts, so that none waits behind one that hangs."""

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""The addresses of a name for a port, best first; raises NameUnknown."""


class NameUnknown(Exception):
    """There is no such name, or nobody who knows it answers."""


class AddressForbidden(Exception):
    """The host has an address that nothing may be sent to."""


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to the very addresses that it checked: a name may stand for another one a moment later.

    What is above it goes by the name still, by which TLS checks the certificate.
    """

    def __init__(self, resolve: Resolve, allowed: Sequence[Network], *, plain: bool) -> None:
        """`allowed` are networks that may be sent to although they are not of the public internet.

        `plain` is whether what is sent is not encrypted.
        """
        self._resolve = resolve
        self._allowed = allowed
        self._plain = plain
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises AddressForbidden where one of the host's addresses is, whichever the others are."""
        async with asyncio.timeout(timeout):
            addresses = await self._checked(host, port)
            share = timeout and timeout / len(addresses)
            for address in addresses[:-1]:
                try:
                    return await self._connected(address, port, share, local_address, socket_options)
                except (httpcore.NetworkError, httpcore.TimeoutException):
                    continue
            return await self._connected(addresses[-1], port, share, local_address, socket_options)

    async def _connected(self, address: str, *rest: Any) -> httpcore.AsyncNetworkStream:
        return BoundedStream.over(await self._network.connect_tcp(address, *rest))

    async def _checked(self, host: str, port: int) -> Sequence[str]:
        address = literal(host)
        addresses = [address] if address is not None else await self._resolve(host, port)
        if not addresses:
            raise NameUnknown
        if not all(permitted(each, self._allowed, plain=self._plain) for each in addresses):
            raise AddressForbidden
        return [str(each) for each in addresses[:_MAX_ADDRESSES]]


class Resolver:
    """Looks names up as this machine does, in threads of its own: the event loop's are few."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_CONCURRENCY, "resolver")

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _looked_up, host, port)
        except (OSError, UnicodeError):
            raise NameUnknown from None
        return [ip_address(address) for address in dict.fromkeys(found)]

    async def close(self) -> None:
        """Waits for no look-up that is under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _looked_up(host: str, port: int) -> Sequence[str]:
    return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
