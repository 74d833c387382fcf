"""A server's readiness, polled continuously, as Kubernetes does."""

import asyncio

import httpx

from tests.failover.waiting import now

_EVERY_SECONDS = 0.15
_TIMEOUT_SECONDS = 1.0


class Readiness:
    """Polls one server, and records each change of its answer."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self.changes: list[tuple[float, bool]] = []
        """When it began to say so, by `time.monotonic`."""
        self._client = client
        self._url = f"{url}/readyz"
        self._asking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._asking = asyncio.create_task(self._ask())

    async def stop(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    @property
    def ready(self) -> bool:
        return bool(self.changes) and self.changes[-1][1]

    def first(self, ready: bool, after: float) -> float | None:
        """After how many seconds it first reported so, from this moment; 0 if it did already."""
        before = [says for at, says in self.changes if at <= after]
        if before and before[-1] is ready:
            return 0.0
        return next((at - after for at, says in self.changes if at > after and says is ready), None)

    async def _ask(self) -> None:
        while True:
            says = await self._answer()
            if not self.changes or self.changes[-1][1] is not says:
                self.changes.append((now(), says))
            await asyncio.sleep(_EVERY_SECONDS)

    async def _answer(self) -> bool:
        try:
            answer = await self._client.get(self._url, timeout=_TIMEOUT_SECONDS)
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK
