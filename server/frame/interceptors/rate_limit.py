"""A token bucket for each caller, so that one who calls too often slows down nobody else."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from server.frame.addresses import CallerNetwork, caller_networks
from server.frame.call import SENT_BYTES_A_CALL, Call
from server.frame.errors import RateLimited
from server.frame.interceptors.base import Behavior, Method

_ANSWERED_BYTES = 16 * 1024
"""A token more for each of these: so much costs the server about what a small call does (1 to 2 ms of a core)."""

_REMEMBERED = 1024
_MAX_CALLERS = 100_000
"""Whose buckets are kept; the one that has not called for longest is forgotten first, which only forgives it."""


@dataclass(frozen=True)
class Rate:
    """How often one caller may call: so often in the long run, and how many calls in a burst after a rest."""

    per_second: float
    burst: int


class Buckets:
    """Each caller's bucket, by one number: the time at which it will be full again."""

    def __init__(self, rate: Rate, clock: Callable[[], float], *, most: int = _MAX_CALLERS) -> None:
        self._interval = 1 / rate.per_second
        self._depth = rate.burst * self._interval
        self._clock = clock
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, caller: str) -> float:
        """Takes a token and returns 0; where there is none, takes nothing and returns in how many seconds there is."""
        return self.take_from_all((CallerNetwork(caller),))

    def take_from_all(self, callers: Sequence[CallerNetwork]) -> float:
        """Takes a token of each bucket, some of which are larger; where one has none, takes nothing, as `take` does."""
        now = self._clock()
        if len(callers) == 1:  # as of every account
            return self._take_from_one(callers[0], now)
        full_at = [max(self._full_at.get(each.name, now), now) + self._interval / each.times for each in callers]
        wait = max(full_at) - now - self._depth
        if wait > _ROUNDING:
            return wait
        for each, time in zip(callers, full_at, strict=True):
            self._keep(each.name, time)
        return 0.0

    def _take_from_one(self, caller: CallerNetwork, now: float) -> float:
        full_at = max(self._full_at.get(caller.name, now), now) + self._interval / caller.times
        wait = full_at - now - self._depth
        if wait > _ROUNDING:
            return wait
        self._keep(caller.name, full_at)
        return 0.0

    def _keep(self, name: str, full_at: float) -> None:
        self._full_at[name] = full_at
        self._full_at.move_to_end(name)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)

    def charge(self, callers: Sequence[CallerNetwork], tokens: int) -> None:
        """Takes so many tokens of each, also those that are still to come: the next `take` waits for them."""
        now = self._clock()
        for each in callers:
            full_at = max(self._full_at.get(each.name, now), now)
            self._full_at[each.name] = full_at + tokens * self._interval / each.times


_ROUNDING = 1e-9
"""In seconds: multiples of an interval that is no binary fraction miss the depth by less."""


class RateLimit:
    """Inside of access, which says who calls; a public method's caller is known by its networks alone.

    A stream takes one token when it opens, and then one for each message that it is sent: it is slowed down to the
    rate rather than refused, since a refusal would end it, and what it has placed would have to be requested again.
    What a call cost is known once it has ended: of large requests and answers the caller is charged some tokens more,
    so that a call of 2,000 lines, or a page of 1,000 products, is not to be had at the price of a small one. A call
    that stands for many says for how many, and is charged for each.
    """

    def __init__(
        self,
        rate: Rate,
        registry: CollectorRegistry,
        *,
        exempt: frozenset[str] | None = None,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """With `exempt`, whoever has a permission that is not among these calls as often as it wants."""
        self._exempt = exempt
        self._buckets = Buckets(rate, clock)
        self._sleep = sleep
        self._limited = Counter(
            "backroom_calls_rate_limited", "Calls refused for their caller's rate", registry=registry
        )

    def around(self, method: Method, proceed: Behavior) -> Behavior:
        if method.quiet:
            return proceed

        async def limited(request: Any, call: Call) -> Any:
            if self._exempt is not None and not call.caller.permissions <= self._exempt:
                return await proceed(request, call)
            callers = buckets_of(call)
            if wait := self._buckets.take_from_all(callers):
                self._limited.inc()
                raise RateLimited(retry_after=wait)
            if method.takes_stream:
                return await proceed(self._in_turn(request, call), call)
            answer = None
            try:
                answer = await proceed(request, call)
                return answer
            finally:
                answered = len(answer) if isinstance(answer, bytes) else call.charged_bytes
                self._charge(callers, call.received_bytes, answered, call.further_calls)

        return limited

    async def _in_turn(self, requests: AsyncIterator[Any], call: Call) -> AsyncIterator[Any]:
        callers = buckets_of(call)
        charged = 0
        async for request in requests:
            while wait := self._buckets.take_from_all(callers):
                await self._sleep(wait)
            self._charge(callers, len(request), call.written_bytes - charged, sent_bytes=call.sent_bytes_a_call)
            charged = call.written_bytes
            yield request

    def _charge(
        self,
        callers: Sequence[CallerNetwork],
        sent: int,
        answered: int,
        further_calls: int = 0,
        *,
        sent_bytes: int = SENT_BYTES_A_CALL,
    ) -> None:
        if owed := max(sent // sent_bytes + answered // _ANSWERED_BYTES, further_calls):
            self._buckets.charge(callers, owed)


def buckets_of(call: Call) -> Sequence[CallerNetwork]:
    """Whose buckets a call takes from: its account's, or, of nobody's account, those of the networks it comes from."""
    return _of_account(call.caller.account) if call.caller.signed_in else caller_networks(call.address)


@lru_cache(_REMEMBERED)
def _of_account(account: str) -> Sequence[CallerNetwork]:
    return (CallerNetwork(account),)
