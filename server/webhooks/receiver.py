"""What answers webhooks that others send: POST /webhooks/{source}, verified and kept before it is answered."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter

import structlog
from prometheus_client import CollectorRegistry, Counter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from server.frame.errors import Contention, Stopping
from server.frame.http import Bodies, body_of
from server.frame.log import described
from server.webhooks.errors import SignatureInvalid
from server.webhooks.rules.sources import Source
from server.webhooks.service import Inbox
from storage.errors import StoreError
from storage.frame.records import ReceivedEvent

MAX_BODY_BYTES = 256 * 1024
"""In bytes."""
# An answer that does not wait for the body ends the connection: the rest of it is not read.
_CLOSE = ("connection", "close")


@dataclass(frozen=True, slots=True)
class _Answer:
    outcome: str
    """What the log and the metric call it."""
    status: int
    text: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def response(self) -> Response:
        if not self.text:
            return Response(status_code=self.status)
        return PlainTextResponse(self.text, self.status, dict(self.headers))


_NEW = _Answer("new", 204)
_REPEATED = _Answer("repeated", 204)
_INVALID = _Answer("invalid", 400, "the request is not signed as it should be")
_CUT_OFF = _Answer("cut_off", 400, "the request ended too early", (_CLOSE,))
_UNKNOWN = _Answer("unknown_source", 404, "there is no such source", (_CLOSE,))
_NOT_POST = _Answer("not_post", 405, "only POST is answered", (("allow", "POST"), _CLOSE))
_TOO_LARGE = _Answer("too_large", 413, "the body is too large", (_CLOSE,))
_FAILED = _Answer("failed", 500, "something went wrong")
_UNAVAILABLE = _Answer("unavailable", 503, "try again", (("retry-after", "2"),))
_OVERTAKEN = _Answer(
    "overtaken", 503, "too many concurrent requests: send the whole body", (("retry-after", "2"), _CLOSE)
)


class WebhookReceiver:
    """POST /webhooks/{source}, as an ASGI application.

    Answers 204 once the event is kept durably, whether now or before; any other answer may be followed by the same
    request again. A sender learns in a few fixed words what is wrong, and not which part of a signature.
    """

    def __init__(
        self,
        inbox: Inbox,
        receive: Callable[[ReceivedEvent], Awaitable[bool]],
        registry: CollectorRegistry,
        logger: structlog.typing.FilteringBoundLogger,
        *,
        within: float = 8.0,
    ) -> None:
        """`receive` keeps an event, and says whether it was new.

        It may take `within` seconds: less than senders wait, of whom GitHub waits the shortest, 10.
        """
        self._inbox = inbox
        self._receive = receive
        self._logger = logger
        self._within = within
        self._bodies = Bodies()
        self._received = Counter(
            "backroom_webhooks_received", "Webhooks that came in, by outcome", ("source", "outcome"), registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        request = Request(scope, receive)
        source = self._inbox.source(request.path_params["source"])
        outcome, fault = "cancelled", ""
        try:
            answer = await self._answer(request, source)
            outcome = answer.outcome
            await answer.response()(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - nothing may rise further, where its text would be logged
            outcome, fault = _FAILED.outcome, described(error)
            await _FAILED.response()(scope, receive, send)
        finally:
            # Callers must not be able to make up labels, nor what the log says.
            self._write(source.name if source else "unknown", outcome, fault, perf_counter() - began)

    async def _answer(self, request: Request, source: Source | None) -> _Answer:
        if source is None:
            return _UNKNOWN
        if request.method != "POST":
            return _NOT_POST
        try:
            async with self._bodies.place(source.name):
                body = await body_of(request, MAX_BODY_BYTES)
        except ClientDisconnect:
            return _CUT_OFF
        except TimeoutError:
            return _OVERTAKEN
        return _TOO_LARGE if body is None else await self._take(request, source, body)

    async def _take(self, request: Request, source: Source, body: bytes) -> _Answer:
        try:
            received = self._inbox.verified(source, request.headers.items(), body)
            async with asyncio.timeout(self._within):
                return _NEW if await self._receive(received) else _REPEATED
        except SignatureInvalid:
            return _INVALID
        except (StoreError, Contention, Stopping, TimeoutError):
            return _UNAVAILABLE

    def _write(self, source: str, outcome: str, fault: str, seconds: float) -> None:
        self._received.labels(source, outcome).inc()
        line: dict[str, object] = {"source": source, "outcome": outcome, "duration_ms": round(seconds * 1000, 2)}
        if fault:
            self._logger.error("webhook", **line, fault=fault)
        else:
            self._logger.info("webhook", **line)
