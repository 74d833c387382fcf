"""A token bucket for each caller, so that one who calls too often slows down nobody else."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from server.frame.addresses import Source, sources_of
from server.frame.call import Call
from server.frame.errors import RateLimited
from server.frame.interceptors.base import Behaviour, Method

_MOST_CALLERS = 100_000
"""Whose buckets are kept; the one that has not called for longest is forgotten first, which only forgives it."""


@dataclass(frozen=True)
class Rate:
    """How often one caller may call: so often in the long run, and so many times at once after a rest."""

    per_second: float
    burst: int


class Buckets:
    """Each caller's bucket, by one number: the time at which it will be full again."""

    def __init__(self, rate: Rate, clock: Callable[[], float], *, most: int = _MOST_CALLERS) -> None:
        self._interval = 1 / rate.per_second
        self._depth = rate.burst * self._interval
        self._clock = clock
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, caller: str) -> float:
        """Takes a token and returns 0; where there is none, takes nothing and returns in how many seconds there is."""
        return self.take_of_each((Source(caller),))

    def take_of_each(self, callers: Sequence[Source]) -> float:
        """Takes a token of each bucket, some of which are larger; where one has none, takes nothing, as `take` does."""
        now = self._clock()
        full_at = [max(self._full_at.get(each.name, now), now) + self._interval / each.times for each in callers]
        wait = max(full_at) - now - self._depth
        if wait > _ROUNDING:
            return wait
        for each, time in zip(callers, full_at, strict=True):
            self._full_at[each.name] = time
            self._full_at.move_to_end(each.name)
            if len(self._full_at) > self._most:
                self._full_at.popitem(last=False)
        return 0.0


_ROUNDING = 1e-9
"""In seconds: sums of an interval that is no binary fraction miss the depth by less."""


class RateLimit:
    """Inside of access, which says who calls; a public method's caller is known by its networks alone.

    A stream takes one token when it opens, and then one for each message that it is sent: it is slowed down to the
    rate rather than refused, since a refusal would end it, and what it has placed would have to be asked for again.
    """

    def __init__(
        self,
        rate: Rate,
        registry: CollectorRegistry,
        *,
        spared: frozenset[str] | None = None,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """With `spared`, whoever has a permission that is not among these calls as often as it wants."""
        self._spared = spared
        self._buckets = Buckets(rate, clock)
        self._sleep = sleep
        self._limited = Counter(
            "backroom_calls_rate_limited", "Calls refused for their caller's rate", registry=registry
        )

    def around(self, method: Method, proceed: Behaviour) -> Behaviour:
        if method.quiet:
            return proceed

        async def limited(request: Any, call: Call) -> Any:
            if self._spared is not None and not call.caller.permissions <= self._spared:
                return await proceed(request, call)
            if wait := self._buckets.take_of_each(buckets_of(call)):
                self._limited.inc()
                raise RateLimited(retry_after=wait)
            return await proceed(self._in_turn(request, call) if method.takes_stream else request, call)

        return limited

    async def _in_turn(self, requests: AsyncIterator[Any], call: Call) -> AsyncIterator[Any]:
        callers = buckets_of(call)
        async for request in requests:
            while wait := self._buckets.take_of_each(callers):
                await self._sleep(wait)
            yield request


def buckets_of(call: Call) -> Sequence[Source]:
    """Whose buckets a call takes from: its account's, or, of nobody's account, those of the networks it comes from."""
    return (Source(str(call.caller.account_id)),) if call.caller.signed_in else sources_of(call.address)
