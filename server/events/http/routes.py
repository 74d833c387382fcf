"""POST /events: CloudEvents by HTTP, each with a verdict of its own, once what is stored is durable."""

from collections.abc import Sequence
from http import HTTPStatus
from time import perf_counter

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from server.events.http.bindings import RequestUnreadable, events_of
from server.events.service.ingesting import MAX_EVENTS, Ingesting
from server.frame.errors import Contention, DatabaseUnavailable, Internal, Overloaded, Refusal
from server.frame.http import Bodies, body_of, call_id_of, http_headers, http_status
from server.frame.http_access import Asking, HttpAccess
from server.frame.log import described
from storage.errors import StoreError
from storage.events.records import Outcome, Verdict

PATH = "/events"
PERMISSION = "events.ingest"
MAX_BODY_BYTES = 512 * 1024
"""In bytes."""
_PASSED_OVER_BYTES = 96 * 1024
"""In bytes: as much as the HTTP side reads of any request beyond that."""
_BYTES_A_CALL = 4 * 1024
"""Of a body: so much more counts as another request."""
_NOT_TAKEN = frozenset((Outcome.CONFLICT, Outcome.REFUSED))


class EventRoutes:
    """Takes CloudEvents in structured, batched or binary mode.

    200 where all are stored, now or before; 422 where one of them is not, and the body says which and why: nobody's
    event is left out behind a 200. Any other answer means that nothing was stored, or that it is not known; the same
    request can be sent again.
    """

    def __init__(
        self,
        ingesting: Ingesting,
        access: HttpAccess,
        registry: CollectorRegistry,
        logger: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._ingesting = ingesting
        self._access = access
        self._logger = logger
        self._bodies = Bodies()
        self._answered = Counter(
            "backroom_events_http_requests",
            "Requests that sent events by HTTP, by status",
            ("status",),
            registry=registry,
        )

    def routes(self) -> tuple[Route, ...]:
        return (Route(PATH, self._answer, methods=["POST"]),)

    async def _answer(self, request: Request) -> Response:
        call_id, began, fault = call_id_of(request), perf_counter(), ""
        count = 0
        try:
            asking = await self._access.admitted(request, f"POST {PATH}", call_id)
            verdicts = await self._ingested(request, asking)
            count, answer = len(verdicts), _answered(verdicts)
        except RequestUnreadable as error:
            answer = _json(error.status, {"reason": HTTPStatus(error.status).name, "message": str(error)})
        except Refusal as refusal:
            answer = _refused(refusal)
        except StoreError:
            answer = _refused(DatabaseUnavailable())
        except Exception as error:  # noqa: BLE001 - nothing may rise further, where its text would be answered
            fault = described(error)
            answer = _refused(Internal(call_id=call_id))
        answer.headers["x-request-id"] = call_id
        self._answered.labels(answer.status_code).inc()
        duration_ms = round((perf_counter() - began) * 1000, 2)
        line = {"call_id": call_id, "status": answer.status_code, "events": count, "duration_ms": duration_ms}
        if fault:
            self._logger.error("events_http", **line, fault=fault)
        else:
            self._logger.info("events_http", **line)
        return answer

    async def _ingested(self, request: Request, asking: Asking) -> Sequence[Verdict]:
        """Raises RequestUnreadable, Overloaded, StoreError."""
        try:
            async with self._bodies.place(asking.address):
                body = await body_of(request, MAX_BODY_BYTES, passed_over_bytes=_PASSED_OVER_BYTES)
        except (ClientDisconnect, TimeoutError):
            raise RequestUnreadable(400, "The body did not arrive in time.") from None
        if body is None:
            raise RequestUnreadable(413, f"The body is larger than {MAX_BODY_BYTES:,} bytes.")
        self._access.charge(asking, len(body) // _BYTES_A_CALL)
        sent = events_of(request.headers, body, MAX_EVENTS)
        return await self._ingesting.ingest(sent, asking.caller.account_id) if sent else ()


def _answered(verdicts: Sequence[Verdict]) -> Response:
    taken = all(verdict.outcome not in _NOT_TAKEN for verdict in verdicts)
    return _json(200 if taken else 422, {"verdicts": [_verdict(each) for each in verdicts]})


def _verdict(verdict: Verdict) -> dict[str, str]:
    said = {
        "outcome": verdict.outcome.name,
        "reason": verdict.reason.name if verdict.reason else "",
        "message": verdict.message,
        "refused_event_id": str(verdict.refused_event_id or ""),
    }
    return {name: value for name, value in said.items() if value}


def _refused(refusal: Refusal) -> Response:
    # What is not the caller's doing, as a rate limit is.
    status = 503 if isinstance(refusal, Contention | Overloaded) else http_status(refusal)
    return _json(status, {"reason": refusal.reason, "message": refusal.message()}, http_headers(refusal))


def _json(status: int, content: object, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")
