"""Health by the standard protocol: Kubernetes probes "liveness" and "readiness", clients a service's own name."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio

from server.frame.outages import UNANSWERED, Outage, explained
from storage.errors import StoreError

LIVENESS = "liveness"
READINESS = "readiness"

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """Follows the database: all but liveness serve only while it answers, migrated, and the server is not stopping.

    `why_not` asks the database, and returns why the server is not ready, or None where it is.
    """

    def __init__(
        self,
        services: Iterable[str],
        why_not: Callable[[], Awaitable[str | None]],
        logger: structlog.typing.FilteringBoundLogger,
        *,
        every: float = 1.0,
        patience: float = 2.0,
    ) -> None:
        self.servicer = aio.HealthServicer()
        self._follow = ("", READINESS, *services)
        self._why_not = why_not
        self._logger = logger
        self._not_ready = Outage(logger, "not ready", "ready")
        self._every = every
        self._patience = patience
        self._draining = False
        self._reason: str | None = "starting"
        self._ready = asyncio.Event()

    @property
    def reason(self) -> str | None:
        """Why the server is not ready; None where it is."""
        return self._reason

    def tells(self) -> bool:
        """Whether the log says already that the server is not ready."""
        return self._reason is not None

    async def ready(self) -> None:
        """Returns once the server is ready."""
        await self._ready.wait()

    async def start(self) -> None:
        """Announces every service, not ready yet, and alive."""
        await self._announce(LIVENESS, ready=True)
        for service in self._follow:
            await self._announce(service, ready=False)

    async def watch(self) -> None:
        """Asks the database every so often, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Asks the database once, and announces what changed."""
        try:
            async with asyncio.timeout(self._patience):
                reason = said = await self._why_not()
        except StoreError as error:
            reason, said = UNANSWERED, explained(error)
        except TimeoutError:
            reason, said = UNANSWERED, f"{UNANSWERED} within {self._patience:g} s"
        if not self._draining:
            await self._settle(reason, said)

    async def drain(self) -> None:
        """Not ready any more, for good: the server is stopping."""
        self._draining = True
        self._logger.info("stopping")
        await self._announce_all("stopping")

    async def _settle(self, reason: str | None, said: str | None) -> None:
        """Announces what changed; `said` is for the log, which may know more than whoever asks whether we are ready."""
        began = self._reason == "starting"
        if reason != self._reason:
            await self._announce_all(reason)
        if reason is not None:
            self._not_ready.met(why=said)
        elif began:
            self._logger.info("ready")
        else:
            self._not_ready.over()

    async def _announce_all(self, reason: str | None) -> None:
        self._reason = reason
        if reason is None:
            self._ready.set()
        else:
            self._ready.clear()
        for service in self._follow:
            await self._announce(service, ready=reason is None)

    async def _announce(self, service: str, *, ready: bool) -> None:
        await self.servicer.set(service, _SERVING if ready else _NOT_SERVING)
