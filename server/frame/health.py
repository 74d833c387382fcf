"""Health by the standard protocol: Kubernetes probes "liveness" and "readiness", clients a service's own name."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.frame.outages import UNANSWERED, Outage, explained
from storage.errors import StoreError, StoreUnavailable
from storage.problems import ProblemKind

_pb2: Any = health_pb2
"""As it is: the stubs of its types do not know List yet."""
_Status = Any

READ_ONLY = "the database takes no changes"
UNCONFIRMED = "the database does not confirm changes"
_REASONS = {ProblemKind.STANDBY: READ_ONLY, ProblemKind.UNCONFIRMED: UNCONFIRMED}
"""What the readiness probe answers, where that is more than that the database does not respond."""

_LOGGED_FOR_SECONDS = 6.0
"""After an outage, others may find out that long later that their connection was lost in it: it is no news then."""

LIVENESS = "liveness"
READINESS = "readiness"

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Serves the statuses of a fixed set of names; of any other name, nothing is kept.

    The library's own remembers each name that is watched, known or not, for as long as the watch lasts.
    """

    def __init__(self) -> None:
        self._statuses: dict[str, _Status] = {}
        self._changed = asyncio.Event()

    def set(self, changes: Mapping[str, _Status]) -> None:
        """Sets the status of these names."""
        self._statuses.update(changes)
        self._changed.set()
        self._changed = asyncio.Event()

    async def Check(  # noqa: N802 - the names are the protocol's
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> health_pb2.HealthCheckResponse:
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "This server has no service of that name.")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:  # noqa: N802
        """Sends the status immediately, and then each change of it; a name that is unknown stays so, since none are
        added."""
        if request.service not in self._statuses:
            await context.write(health_pb2.HealthCheckResponse(status=_SERVICE_UNKNOWN))
            del request
            await asyncio.Event().wait()
            return
        name, sent = request.service, None
        while True:
            changed, status = self._changed, self._statuses[name]
            if status != sent:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                sent = status
            else:
                await changed.wait()

    async def List(  # noqa: N802
        self, _request: Any, _context: Any
    ) -> Any:
        statuses = self._statuses.items()
        return _pb2.HealthListResponse(
            statuses={name: health_pb2.HealthCheckResponse(status=status) for name, status in statuses}
        )


class Health:
    """Follows the database: all but liveness serve only while it answers, migrated, and the server is not stopping.

    Services that need no database go on while it is away; "readiness" and "" speak of all that is served here.

    `unready_reason` asks the database, and returns why the server is not ready, or None where it is.
    """

    def __init__(
        self,
        services: Iterable[str],
        unready_reason: Callable[[], Awaitable[str | None]],
        logger: structlog.typing.FilteringBoundLogger,
        *,
        going_on: Mapping[str, Callable[[], bool]] = MappingProxyType({}),
        poll_seconds: float = 1.0,
        timeout_seconds: float = 2.0,
    ) -> None:
        """`going_on` is whether a service can answer that needs no database, by its name."""
        self.servicer = HealthServicer()
        self._follow = ("", READINESS, *services)
        self._going_on = going_on
        self._answering: Mapping[str, bool] = {}
        self._unready_reason = unready_reason
        self._logger = logger
        self._not_ready = Outage(logger, "not_ready", "ready")
        self._poll_seconds = poll_seconds
        self._timeout_seconds = timeout_seconds
        self._further_checks: list[Callable[[], str | None]] = []
        self._draining = False
        self._reason: str | None = "starting"
        self._ready = asyncio.Event()
        self._ready_at = -_LOGGED_FOR_SECONDS

    @property
    def reason(self) -> str | None:
        """Why the server is not ready; None where it is."""
        return self._reason

    def add_check(self, unready_reason: Callable[[], str | None]) -> None:
        """Has readiness depend on this check too, which runs while the database responds."""
        self._further_checks.append(unready_reason)

    def logs_unready(self) -> bool:
        """Whether the log says already that the server is not ready, or did until a moment ago."""
        return self._reason is not None or time.monotonic() - self._ready_at < _LOGGED_FOR_SECONDS

    async def ready(self) -> None:
        """Returns once the server is ready."""
        await self._ready.wait()

    async def start(self) -> None:
        """Announces every service, not ready yet, and alive."""
        self.servicer.set({LIVENESS: _SERVING, **dict.fromkeys(self._follow, _NOT_SERVING)})

    async def watch(self) -> None:
        """Checks the database at each poll interval, until cancelled."""
        while True:
            await self.poll()
            await asyncio.sleep(self._poll_seconds)

    async def poll(self) -> None:
        """Checks the database once, and announces what changed; within `timeout_seconds`, whatever hangs."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                reason = detail = await self._check()
        except StoreUnavailable as error:
            reason, detail = _REASONS.get(error.problem.kind, UNANSWERED), explained(error)
        except StoreError as error:
            reason, detail = UNANSWERED, explained(error)
        except TimeoutError:
            reason, detail = UNANSWERED, f"{UNANSWERED} within {self._timeout_seconds:g} s"
        if reason is None:
            reason = detail = next(filter(None, (check() for check in self._further_checks)), None)
        if not self._draining:
            self._settle(reason, detail)

    async def _check(self) -> str | None:
        """Checks again where a connection was lost: what counts is whether another is to be had, or why not."""
        try:
            return await self._unready_reason()
        except StoreUnavailable as error:
            if error.problem.kind is not ProblemKind.LOST:
                raise
        return await self._unready_reason()

    async def drain(self) -> None:
        """Not ready any more, permanently: the server is stopping."""
        self._draining = True
        self._logger.info("stopping")
        self._announce_all("stopping")

    def _settle(self, reason: str | None, detail: str | None) -> None:
        """Announces what changed; `detail` is for the log, which may say more than the readiness probe."""
        began = self._reason == "starting"
        if reason != self._reason:
            self._announce_all(reason)
        else:
            self._announce_going_on()
        if reason is not None:
            self._not_ready.record_failure(why=detail)
        elif began:
            self._logger.info("ready")
        else:
            self._not_ready.record_recovery()

    def _announce_all(self, reason: str | None) -> None:
        began, self._reason = self._reason == "starting", reason
        if reason is None:
            self._ready_at = self._ready_at if began else time.monotonic()
            self._ready.set()
        else:
            self._ready.clear()
        status = _SERVING if reason is None else _NOT_SERVING
        self.servicer.set({name: status for name in self._follow if name not in self._going_on})
        self._announce_going_on()

    def _announce_going_on(self) -> None:
        """What needs no database, and may have come so far meanwhile."""
        answering = {name: goes_on() and not self._draining for name, goes_on in self._going_on.items()}
        if answering != self._answering:
            self._answering = answering
            self.servicer.set({name: _SERVING if serves else _NOT_SERVING for name, serves in answering.items()})
