"""Server-sent events that notify web pages of a change; they then evaluate all flags again."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import structlog
from prometheus_client import CollectorRegistry, Gauge
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from server.flags.ofrep.access import OfrepAccess
from server.flags.ofrep.answers import failure_of_all, headers_of, status_of
from server.flags.ofrep.stream_urls import StreamUrls
from server.flags.rules.snapshots import Snapshot
from server.flags.service.following import CurrentFlags
from server.frame.addresses import caller_networks
from server.frame.errors import DatabaseUnavailable, Internal, Overloaded, Refusal, Stopping
from server.frame.http import call_id_of, stay_open
from server.frame.http_access import Asking
from server.frame.interceptors.shedding import NetworkLimit
from server.frame.interceptors.stream_guard import StreamGuard
from server.frame.log import described
from server.frame.module import Clock
from storage.errors import StoreError

KEEP_ALIVE_SECONDS = 20.0
"""Proxies end what is silent for longer than a minute or so."""
PER_NETWORK = 100
_WRITE_SECONDS = 10.0
"""How long a reader may take to make room."""
_LASTING_SECONDS = 3600.0
"""As long as a connection of gRPC's lasts: by then a client is to find new servers."""
_RETRY_MS = 1000
_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    # nginx would keep each event until it had a page of them.
    (b"x-accel-buffering", b"no"),
    (b"connection", b"close"),
]


class EventStreams:
    """GET /ofrep/v1/events, as an ASGI application: opened by a URL that a bulk evaluation gave out.

    A stream that misses nothing: what has changed since its client was answered, or since the last event that it has
    seen, is told as it opens. It ends once the account behind it may evaluate no more, once the server stops, and after
    an hour.
    """

    def __init__(
        self,
        flags: CurrentFlags,
        access: OfrepAccess,
        urls: StreamUrls,
        registry: CollectorRegistry,
        logger: structlog.typing.FilteringBoundLogger,
        now: Clock,
        *,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
        per_network: int = PER_NETWORK,
        lasting_seconds: float = _LASTING_SECONDS,
    ) -> None:
        self._flags = flags
        self._access = access
        self._urls = urls
        self._logger = logger
        self._now = now
        self._keep_alive_seconds = keep_alive_seconds
        self._lasting_seconds = lasting_seconds
        self._of_network = NetworkLimit(per_network)
        self._open = Gauge("backroom_ofrep_event_streams", "OFREP's event streams that are open", registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        call_id, began, outcome, fault = call_id_of(request), asyncio.get_running_loop().time(), "ended", ""
        opened = _Opened(send)
        try:
            if request.method != "GET":
                await Response(status_code=405, headers={"allow": "GET"})(scope, receive, send)
                return
            await self._told(request, opened)
        except Refusal as refusal:
            outcome = refusal.reason
            await self._refuse(refusal, opened, scope, receive, send)
        except StoreError:
            outcome = DatabaseUnavailable.reason
            await self._refuse(DatabaseUnavailable(), opened, scope, receive, send)
        except TimeoutError:
            outcome = "not_read"
        except Exception as error:  # noqa: BLE001 - nothing may rise further, where its text would be answered
            outcome, fault = "failed", described(error)
            await self._refuse(Internal(call_id=call_id), opened, scope, receive, send)
        finally:
            await opened.end()
            seconds = asyncio.get_running_loop().time() - began
            line = {"call_id": call_id, "outcome": outcome, "duration_ms": round(seconds * 1000, 2)}
            if fault:
                self._logger.error("ofrep_events", **line, fault=fault)
            else:
                self._logger.info("ofrep_events", **line)

    async def _told(self, request: Request, opened: "_Opened") -> None:
        right = self._urls.read(request.query_params.get("right", ""), self._now())
        asking = await self._access.holder(right, request)
        with self._of_network.slot(caller_networks(asking.address)), self._flags.streams.open():
            known = max(right.version, _last_seen(request))
            # Before it is opened: a server that stops, or has no flags yet, must not look as if it sent changes.
            await self._flags.after(-1, 0.0)
            snapshot = self._flags.snapshot
            if not stay_open(request):
                raise Overloaded
            self._open.inc()
            try:
                await self._follow(asking, self._events(right.flag_set_id, known, snapshot), request, opened)
            finally:
                self._open.dec()

    async def _follow(
        self, asking: Asking, events: AsyncGenerator[str, None], request: Request, opened: "_Opened"
    ) -> None:
        gone = asyncio.create_task(_disconnected(request))
        try:
            async with StreamGuard(lambda: self._access.wait_for_loss(asking)):
                await opened.write(f"retry: {_RETRY_MS}\n\n")
                async with aclosing(events):
                    following = asyncio.create_task(_write_all(events, opened))
                    try:
                        await asyncio.wait([following, gone], return_when=asyncio.FIRST_COMPLETED)
                        if following.done():
                            following.result()
                    finally:
                        following.cancel()
                        await asyncio.gather(following, return_exceptions=True)
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)

    async def _events(self, flag_set_id: str, known: int, snapshot: Snapshot) -> AsyncGenerator[str, None]:
        """Each change of the set, as text; a comment where there is none for a while. Raises Stopping."""
        ends = asyncio.get_running_loop().time() + self._lasting_seconds
        if snapshot.version > known:
            yield _event(snapshot.version)
        while asyncio.get_running_loop().time() < ends:
            found = await self._flags.after(snapshot.version, self._keep_alive_seconds)
            if found is None:
                yield ": keep-alive\n\n"
            elif found.views.get(flag_set_id) is not snapshot.views.get(flag_set_id):
                yield _event(found.version)
            snapshot = found or snapshot

    async def _refuse(self, refusal: Refusal, opened: "_Opened", scope: Scope, receive: Receive, send: Send) -> None:
        if opened.begun:
            return
        answer = JSONResponse(failure_of_all(refusal), status_of(refusal), headers_of(refusal))
        await answer(scope, receive, send)
        opened.answered = True


class _Opened:
    """An answer that is written piece by piece, to a reader that must read."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False
        self.answered = False

    async def write(self, text: str) -> None:
        """Raises TimeoutError where the reader makes no room for it."""
        async with asyncio.timeout(_WRITE_SECONDS):
            if not self.begun:
                self.begun = True
                await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await self._send({"type": "http.response.body", "body": text.encode(), "more_body": True})

    async def end(self) -> None:
        if self.begun and not self.answered:
            self.answered = True
            try:
                async with asyncio.timeout(_WRITE_SECONDS):
                    await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            except TimeoutError:
                return


async def _write_all(events: AsyncIterator[str], opened: _Opened) -> None:
    try:
        async for event in events:
            await opened.write(event)
    except Stopping:
        return  # the last event was sent whole; a client reconnects to another server


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _last_seen(request: Request) -> int:
    """The configuration version of the last event that a client saw before it lost its stream."""
    sent = request.headers.get("last-event-id", "")
    return int(sent) if sent.isascii() and sent.isdecimal() and len(sent) < 20 else 0


def _event(version: int) -> str:
    # The version is in microseconds since 1970, or a little above.
    said = {"type": "refetchEvaluation", "etag": str(version), "lastModified": version // 1_000_000}
    return f"id: {version}\nevent: message\ndata: {json.dumps(said, separators=(',', ':'))}\n\n"
