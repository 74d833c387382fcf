"""Sending over HTTP to whom nobody vouches for."""

import asyncio
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property

import httpcore

from server.frame.addresses import Network
from server.webhooks.network import AddressForbidden, CheckedNetwork, NameUnknown, Resolve
from server.webhooks.rules.answers import Answer, retry_after
from server.webhooks.rules.urls import target_of

_MAX_READ_BYTES = 16 * 1024
_HEADERS = {
    "user-agent": "Backroom-Webhooks",
    "content-type": "application/json",
    "accept": "*/*",
}

_IN_WORDS: Mapping[type[BaseException], str] = {
    AddressForbidden: "address not allowed",
    NameUnknown: "name not found",
    ssl.SSLCertVerificationError: "certificate not valid",
    ssl.SSLError: "TLS failed",
    TimeoutError: "timed out",
    httpcore.TimeoutException: "timed out",
    ConnectionRefusedError: "connection refused",
    httpcore.ConnectError: "connection failed",
    httpcore.RemoteProtocolError: "no valid HTTP",
    httpcore.NetworkError: "connection lost",
    httpcore.ProtocolError: "request not valid",
    OSError: "connection failed",
}
"""What may go wrong, the more telling first."""


class Sender:
    """Sends requests by POST, and says what came of each in a few words of its own.

    An attempt takes a limited time, from looking its host up to reading the answer. A redirect is an answer like
    others. What an answer says beside its status is read only so that the connection can be used again, and thrown
    away. Proxies that the environment names are not used.
    """

    def __init__(
        self,
        resolve: Resolve,
        allowed: Sequence[Network],
        *,
        tls: ssl.SSLContext | None = None,
        limit: float = 20.0,
        connect_limit: float = 5.0,
    ) -> None:
        """`allowed` are networks that may be sent to although they are not of the public internet.

        `limit` and `connect_limit` in seconds; without `tls`, those certificates count that this machine trusts.
        """
        self._resolve = resolve
        self._allowed = allowed
        self._tls = tls
        self._limit = limit
        self._connect_limit = connect_limit
        self._opened: list[httpcore.AsyncConnectionPool] = []

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Raises nothing: whatever comes of it is an answer, so that the attempt is counted."""
        answer = None
        try:
            async with asyncio.timeout(self._limit), self._stream(url, headers, body) as response:
                answer = Answer(response.status, retry_after(_header(response, b"retry-after")))
                await _read(response)
        except Exception as error:  # noqa: BLE001 - what a receiver brings about is never more than a failed attempt
            # What goes wrong after the status changes nothing: the endpoint has answered.
            answer = answer or Answer(error=_in_words(error))
        return answer

    async def close(self) -> None:
        """Ends the connections that are kept open."""
        for pool in self._opened:
            await pool.aclose()

    def _stream(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> AbstractAsyncContextManager[httpcore.Response]:
        target = target_of(url)
        sent = {"host": target.authority, **_HEADERS, **headers}
        pool = self._plain if target.plain else self._encrypted
        return pool.stream(
            "POST",
            httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path),
            headers=[*sent.items()],
            content=body,
            extensions={"timeout": {"connect": self._connect_limit}},
        )

    @cached_property
    def _plain(self) -> httpcore.AsyncConnectionPool:
        return self._pool(None)

    @cached_property
    def _encrypted(self) -> httpcore.AsyncConnectionPool:
        return self._pool(self._tls or ssl.create_default_context())

    def _pool(self, tls: ssl.SSLContext | None) -> httpcore.AsyncConnectionPool:
        pool = httpcore.AsyncConnectionPool(
            tls,
            max_connections=None,
            max_keepalive_connections=50,
            # Shorter than servers keep one, so that they do not end it while a request is on its way.
            keepalive_expiry=1.5,
            network_backend=CheckedNetwork(self._resolve, self._allowed, plain=tls is None),
        )
        self._opened.append(pool)
        return pool


async def _read(response: httpcore.Response) -> None:
    """Reads an answer to its end, and a long one no further than it must; what is not read ends the connection."""
    read = 0
    async for piece in response.aiter_stream():
        read += len(piece)
        if read >= _MAX_READ_BYTES:
            return


def _header(response: httpcore.Response, wanted: bytes) -> str:
    """A header's value, empty where there is none; names come as they were written."""
    return next((value.decode("latin-1") for name, value in response.headers if name.lower() == wanted), "")


def _in_words(error: BaseException) -> str:
    chain = [*_chain(error)]
    known = (words for kind, words in _IN_WORDS.items() if any(isinstance(each, kind) for each in chain))
    return next(known, f"failed by {type(error).__name__}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what it came of; that TLS wanted to read or write first is none."""
    while error is not None:
        if not isinstance(error, (ssl.SSLWantReadError, ssl.SSLWantWriteError)):
            yield error
        error = error.__cause__ or error.__context__
