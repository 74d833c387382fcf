"""POST /ofrep/v1/evaluate/flags for all flags of a set, and /ofrep/v1/evaluate/flags/{key} for one."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter, thread_time
from typing import Any, TypeVar

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.flags.ofrep.access import OfrepAccess
from server.flags.ofrep.answers import (
    ErrorCode,
    RequestInvalid,
    context_of,
    failure,
    failure_of_all,
    headers_of,
    status_of,
    success,
)
from server.flags.ofrep.stream_urls import StreamRight, StreamUrls, end_of_right
from server.flags.rules.evaluating import Evaluation, View, evaluated, evaluated_all
from server.flags.rules.selecting import SELECTOR, selected
from server.flags.rules.snapshots import Snapshot
from server.flags.service.counting import Counting
from server.flags.service.evaluations import is_large
from server.flags.service.following import CurrentFlags
from server.frame.entity_tags import etag_of
from server.frame.errors import DatabaseUnavailable, Internal, Refusal, Stopping
from server.frame.http import Bodies, body_of, call_id_of, is_known
from server.frame.http_access import Asking
from server.frame.log import described
from server.frame.module import Clock
from storage.errors import StoreError

Result = TypeVar("Result")

EVENTS = "/ofrep/v1/events"
MAX_BODY_BYTES = 64 * 1024
_FLAGS_A_CALL = 100
"""To write so many into one answer costs about what a call does."""
_CALL_SECONDS = 0.002
"""Of a core's time: about what a call costs."""
_NEWS_SECONDS = 2.0
"""How long a request waits for a configuration version that its client received from another server."""
_MAX_WAITING = 100
_SELECTOR_CHARACTERS = 512
_READS_TIME = re.compile(rb'\$flagd(?!\.flagKey)|"var":\[?(?:""|[^"0-9-])')
_INACTIVITY_SECONDS = 120
"""After so long in the background a page closes its stream, and evaluates again once it is visible."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content: Any = None
    """JSON; None for an answer without a body."""
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        if self.content is None:
            return Response(status_code=self.status, headers=self.headers)
        body = orjson.dumps(self.content, option=orjson.OPT_NON_STR_KEYS)
        return Response(body, self.status, self.headers, "application/json")


class Ofrep:
    """Evaluates from memory; the database is only read to authenticate a caller, and that is cached."""

    def __init__(
        self,
        flags: CurrentFlags,
        access: OfrepAccess,
        urls: StreamUrls,
        counting: Counting,
        registry: CollectorRegistry,
        logger: structlog.typing.FilteringBoundLogger,
        now: Clock,
    ) -> None:
        self._flags = flags
        self._access = access
        self._urls = urls
        self._counting = counting
        self._logger = logger
        self._now = now
        self._bodies = Bodies()
        self._waiting = 0
        self._timed: dict[str, tuple[View, bool]] = {}
        """By the flag set: the view that was looked at, and whether any of its flags reads the time."""
        self._answered = Counter(
            "backroom_ofrep_requests", "OFREP's requests, by status", ("status",), registry=registry
        )

    async def single(self, request: Request, call_id: str) -> Answer:
        """One flag."""
        asking = await self._access.admitted(request, call_id)
        context = context_of(body := await self._body(request, asking))
        view = self._flags.snapshot.view(selected_by(request))
        key, seconds = request.path_params["key"], int(self._now().timestamp())

        def evaluate() -> Evaluation:
            return evaluated(view, key, context, seconds)

        found = await self._charged(asking, evaluate, in_thread=is_large(view, len(body), all_flags=False))
        self._counting.count(view.flag_set_id, found, seconds, context)
        return Answer(200, success(found))

    async def bulk(self, request: Request, call_id: str) -> Answer:
        """All flags of a set; nothing where the client knows them already."""
        asking = await self._access.admitted(request, call_id)
        context = context_of(body := await self._body(request, asking))
        flag_set_id, snapshot = selected_by(request), await self._snapshot_for(request)
        view, caller = snapshot.view(flag_set_id), asking.caller
        until = end_of_right(self._now())
        right = StreamRight(
            flag_set_id, snapshot.version, until, caller.account_id, caller.issued_for or caller.account_id
        )
        # An answer counts for one caller, and as long as the URL that came with it: a 304 brings no other one.
        known = (flag_set_id, snapshot.version, until, right.account_id.hex, right.issued_for.hex, context)
        timed = self._reads_time(flag_set_id, view)
        etag = etag_of(*known)
        if not timed and is_known(request, etag):
            return Answer(304, headers={"etag": etag})
        flags = await self._all(view, context, len(body), asking)
        if timed:
            etag = etag_of(*known, flags)
            if is_known(request, etag):
                return Answer(304, headers={"etag": etag})
        self._access.charge(asking, len(flags) // _FLAGS_A_CALL)
        uri = f"{EVENTS}?right={self._urls.written(right)}"
        stream = {"type": "sse", "endpoint": {"requestUri": uri}, "inactivityDelaySec": _INACTIVITY_SECONDS}
        content = {"flags": flags, "metadata": view.metadata, "eventStreams": [stream]}
        return Answer(200, content, {"etag": etag})

    async def answered(self, request: Request, act: Callable[[Request, str], Awaitable[Answer]]) -> Answer:
        """What `act` answers, or the refusal; either is logged."""
        call_id, began, fault = call_id_of(request), perf_counter(), ""
        try:
            if request.method != "POST":
                answer = Answer(405, headers={"allow": "POST"})
            else:
                answer = await act(request, call_id)
        except (Refusal, RequestInvalid) as refusal:
            answer = refused(refusal, request.path_params.get("key"))
        except StoreError:
            answer = refused(DatabaseUnavailable(), request.path_params.get("key"))
        except Exception as error:  # noqa: BLE001 - nothing may rise further, where its text would be answered
            fault = described(error)
            answer = refused(Internal(call_id=call_id), request.path_params.get("key"))
        answer.headers["x-request-id"] = call_id
        self._answered.labels(answer.status).inc()
        line = {"call_id": call_id, "status": answer.status, "duration_ms": round((perf_counter() - began) * 1000, 2)}
        if fault:
            self._logger.error("ofrep", **line, fault=fault)
        else:
            self._logger.info("ofrep", **line)
        return answer

    async def _body(self, request: Request, asking: Asking) -> bytes:
        """Raises RequestInvalid."""
        try:
            async with self._bodies.place(asking.address):
                body = await body_of(request, MAX_BODY_BYTES)
        except (ClientDisconnect, TimeoutError):
            raise RequestInvalid(ErrorCode.PARSE_ERROR, "The body did not arrive in time.") from None
        if body is None:
            raise RequestInvalid(ErrorCode.INVALID_CONTEXT, f"The body is larger than {MAX_BODY_BYTES:,} bytes.")
        return body

    async def _snapshot_for(self, request: Request) -> Snapshot:
        """The snapshot, at least as new as the version this client received if that arrives within two seconds."""
        snapshot, told = self._flags.snapshot, request.query_params.get("flagConfigEtag", "")
        version = int(told) if told.isascii() and told.isdecimal() and len(told) < 20 else 0
        if version <= snapshot.version or self._waiting >= _MAX_WAITING:
            return snapshot
        self._waiting += 1
        try:
            async with asyncio.timeout(_NEWS_SECONDS):
                while snapshot.version < version:
                    snapshot = await self._flags.after(snapshot.version, _NEWS_SECONDS) or snapshot
        except (TimeoutError, Stopping):
            pass
        finally:
            self._waiting -= 1
        return self._flags.snapshot

    async def _all(self, view: View, context: Any, size: int, asking: Asking) -> Sequence[dict[str, Any]]:
        seconds = int(self._now().timestamp())
        large = is_large(view, size, all_flags=True)
        found = await self._charged(asking, lambda: _all(view, context, seconds), in_thread=large)
        for each in found:
            if isinstance(each, Evaluation):
                self._counting.count(view.flag_set_id, each, seconds, context)
        return [success(each) if isinstance(each, Evaluation) else each for each in found]

    async def _charged(self, asking: Asking, evaluate: Callable[[], Result], *, in_thread: bool) -> Result:
        """What is evaluated; its caller may call the later, the more of a core's time that has taken."""

        def timed() -> tuple[Result | Refusal, float]:
            began = thread_time()
            try:
                return evaluate(), thread_time() - began
            except Refusal as refusal:
                return refusal, thread_time() - began

        found, seconds = await asyncio.to_thread(timed) if in_thread else timed()
        self._access.charge(asking, int(seconds / _CALL_SECONDS))
        if isinstance(found, Refusal):
            raise found
        return found

    def _reads_time(self, flag_set_id: str, view: View) -> bool:
        if not view.flags:  # anybody can make up sets without any
            return False
        looked_at = self._timed.get(flag_set_id)
        if looked_at is None or looked_at[0] is not view:
            looked_at = self._timed[flag_set_id] = (view, _flags_read_time(view))
        return looked_at[1]


class Endpoint:
    """One way to ask, as an ASGI application."""

    def __init__(self, ofrep: Ofrep, act: Callable[[Request, str], Awaitable[Answer]]) -> None:
        self._ofrep = ofrep
        self._act = act

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._ofrep.answered(Request(scope, receive), self._act)
        await answer.response()(scope, receive, send)


def _all(view: View, context: Any, seconds: int) -> Sequence[Evaluation | dict[str, Any]]:
    found = evaluated_all(view, context, seconds, thread_time)
    return [each if isinstance(each, Evaluation) else failure(key, each) for key, each in found.items()]


def selected_by(request: Request) -> str:
    """The flag set that a request is about, by the header that flagd's clients send; raises SelectorInvalid."""
    return selected(request.headers.get(SELECTOR, "")[:_SELECTOR_CHARACTERS])


def refused(refusal: Refusal | RequestInvalid, key: str | None) -> Answer:
    """A refusal as clients read it; of a request for one flag it names the flag."""
    content = failure_of_all(refusal) if key is None else failure(key, refusal)
    return Answer(status_of(refusal), content, headers_of(refusal))


def _flags_read_time(view: View) -> bool:
    """Whether any flag may be answered otherwise though neither the context nor the configuration changes.

    True also for some that are not: the time stands beside the flag's key, and what reads all that there is, or by a
    name that is worked out, may read it. Told by the rules' text, since to walk through them takes long.
    """
    rules = (compiled.rule for compiled in view.flags.values() if compiled.rule is not None)
    return any(_READS_TIME.search(orjson.dumps(rule)) for rule in rules)
