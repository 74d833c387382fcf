"""Who may evaluate by OFREP, and how often."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from starlette.requests import Request

from server.flags.ofrep.stream_urls import StreamRight
from server.frame.addresses import CallerNetwork, Network, caller_networks
from server.frame.caller import ANONYMOUS, Caller
from server.frame.errors import PermissionMissing, RateLimited, TokenInvalid
from server.frame.http import HttpCallers, shows_credentials, within
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

    What is shown counts, also from such a network.
    """

    def __init__(
        self,
        authentication: Authentication,
        callers: HttpCallers,
        open_to: Sequence[Network],
        calls_per_second: float,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """0 calls per second limit nobody."""
        self._authentication = authentication
        self._callers = callers
        self._open_to = open_to
        rate = Rate(calls_per_second, max(1, int(2 * calls_per_second)))
        self._buckets = Buckets(rate, clock) if calls_per_second else None

    async def admitted(self, request: Request, call_id: str) -> Asking:
        """Raises TokenInvalid, PermissionMissing, RateLimited, StoreError."""
        address = self._callers.address_of(request)
        caller = await self._caller_of(request, address, call_id)
        if not caller.signed_in and not within(address, self._open_to):
            raise TokenInvalid
        asking = Asking(caller, address)
        self._take(asking.sources)
        return asking

    async def _caller_of(self, request: Request, address: str, call_id: str) -> Caller:
        """Takes a token of the network's until who asks is known: what is shown in vain costs a look, too."""
        if not shows_credentials(request):
            return ANONYMOUS
        networks = caller_networks(address)
        self._take(networks)
        caller = await self._callers.caller_of(request, f"OFREP {request.method}", call_id)
        _check(caller)
        self._charge(networks, -1)
        return caller

    def charge(self, asking: Asking, calls: int) -> None:
        """That an answer cost as much as so many calls more."""
        self._charge(asking.sources, calls)

    async def holder(self, right: StreamRight, request: Request) -> Asking:
        """Who holds a stream's URL, if they still may open one; raises what `admitted` does."""
        address = self._callers.address_of(request)
        self._take(caller_networks(address))
        if right.account_id == NOBODY:
            if not within(address, self._open_to):
                raise TokenInvalid
            return Asking(ANONYMOUS, address)
        caller = await self._authentication.caller_behind(right.account_id, right.issued_for)
        _check(caller)
        return Asking(caller, address)

    async def wait_for_loss(self, asking: Asking) -> None:
        """Raises TokenInvalid or PermissionMissing once the caller may evaluate no more.

        While the database is away nobody knows, and nothing changes that could be told.
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
    if not caller.may(PERMISSION):
        raise PermissionMissing(permission=PERMISSION)
