"""Who may evaluate by OFREP, and how often."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from starlette.requests import Request

from server.flags.ofrep.stream_urls import StreamRight
from server.frame.addresses import CallerNetwork, Network, caller_networks, is_within
from server.frame.caller import ANONYMOUS, Caller
from server.frame.errors import PermissionMissing, RateLimited, TokenInvalid
from server.frame.http import HttpCallers
from server.frame.interceptors.rate_limit import Buckets, Rate
from server.frame.module import Authentication
from storage.errors import StoreError
from storage.frame.records import NOBODY

PERMISSION = "flags.evaluate"
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, and from where."""

    caller: Caller
    address: str

    @property
    def sources(self) -> Sequence[CallerNetwork]:
        """Whose rate it counts against."""
        if self.caller.signed_in:
            return (CallerNetwork(str(self.caller.account_id)),)
        return caller_networks(self.address)


class OfrepAccess:
    """By a token or a key whose account holds `flags.evaluate`, or without one from a network that flags are open to.

    From such a network, tokens and keys are ignored.
    """

    def __init__(
        self,
        authentication: Authentication,
        callers: HttpCallers,
        open_to: tuple[Network, ...],
        calls_per_second: float,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """With 0 calls per second there is no limit."""
        self._authentication = authentication
        self._callers = callers
        self._open_to = open_to
        rate = Rate(calls_per_second, max(1, int(2 * calls_per_second)))
        self._buckets = Buckets(rate, clock) if calls_per_second else None

    async def admitted(self, request: Request, call_id: str) -> Asking:
        """Raises TokenInvalid, PermissionMissing, RateLimited, StoreError."""
        address = self._callers.address_of(request)
        networks = caller_networks(address)
        self._take(networks)
        if is_within(address, self._open_to):
            return Asking(ANONYMOUS, address)
        action = f"OFREP {request.method}"
        caller = await self._callers.caller_of(request, action, call_id, while_away=True)
        _check(caller)
        asking = Asking(caller, address)
        # What is shown in vain costs the network, and what is good its account: many may call from one network.
        self._charge(networks, -1)
        self._take(asking.sources)
        return asking

    def charge(self, asking: Asking, calls: int) -> None:
        """That an answer cost as much as so many calls more."""
        self._charge(asking.sources, calls)

    async def holder(self, right: StreamRight, request: Request) -> Asking:
        """Who holds a stream's URL, if they still may open one; raises what `admitted` does."""
        address = self._callers.address_of(request)
        self._take(caller_networks(address))
        if right.account_id == NOBODY:
            if not is_within(address, self._open_to):
                raise TokenInvalid
            return Asking(ANONYMOUS, address)
        caller = await self._authentication.caller_behind(right.account_id, right.issued_for, while_away=True)
        _check(caller)
        return Asking(caller, address)

    async def wait_for_loss(self, asking: Asking) -> None:
        """Raises TokenInvalid or PermissionMissing once the caller may evaluate no more.

        While the database is away the caller keeps its rights: no change of them can be read.
        """
        caller = asking.caller
        if not caller.signed_in:
            await asyncio.Event().wait()
        while True:
            try:
                caller = await self._authentication.changed(caller)
                _check(caller)
            except StoreError:
                await asyncio.sleep(_RETRY_SECONDS)

    def _charge(self, sources: Sequence[CallerNetwork], calls: int) -> None:
        if calls and self._buckets is not None:
            self._buckets.charge(sources, calls)

    def _take(self, sources: Sequence[CallerNetwork]) -> None:
        if self._buckets is not None and (wait := self._buckets.take_from_all(sources)):
            raise RateLimited(retry_after=wait)


def _check(caller: Caller) -> None:
    if not caller.signed_in:
        raise TokenInvalid
    if not caller.may(PERMISSION):
        raise PermissionMissing(permission=PERMISSION)
