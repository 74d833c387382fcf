"""Who may ask on the HTTP side, by a token or a key, and how often."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from starlette.requests import Request

from server.frame.addresses import CallerNetwork, Network, caller_networks, is_within
from server.frame.caller import ANONYMOUS, Caller
from server.frame.errors import PermissionMissing, RateLimited, TokenInvalid
from server.frame.http import HttpCallers
from server.frame.interceptors.rate_limit import Buckets, Rate


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


class HttpAccess:
    """Lets in whoever has a permission, by a token or a key, so often in the long run."""

    def __init__(
        self,
        callers: HttpCallers,
        permission: str,
        calls_per_second: float,
        *,
        open_to: tuple[Network, ...] = (),
        while_away: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """With 0 calls per second there is no limit.

        From a network of `open_to` nobody needs a token, and tokens and keys are ignored. With `while_away`, who was
        let in before is let in while the database is away.
        """
        self._callers = callers
        self._permission = permission
        self._open_to = open_to
        self._while_away = while_away
        rate = Rate(calls_per_second, max(1, int(2 * calls_per_second)))
        self._buckets = Buckets(rate, clock) if calls_per_second else None

    async def admitted(self, request: Request, action: str, call_id: str) -> Asking:
        """Raises TokenInvalid, PermissionMissing, RateLimited, StoreError; a refused key is recorded with the
        action."""
        address = self._callers.address_of(request)
        networks = caller_networks(address)
        self._take(networks)
        if is_within(address, self._open_to):
            return Asking(ANONYMOUS, address)
        caller = await self._callers.caller_of(request, action, call_id, while_away=self._while_away)
        self.check(caller)
        asking = Asking(caller, address)
        # What is shown in vain costs the network, and what is good its account: many may call from one network.
        self._charge(networks, -1)
        self._take(asking.sources)
        return asking

    def charge(self, asking: Asking, calls: int) -> None:
        """That an answer cost as much as so many calls more."""
        self._charge(asking.sources, calls)

    def charged_address(self, request: Request) -> str:
        """Where a request comes from, which takes of that network's rate; raises RateLimited."""
        address = self._callers.address_of(request)
        self._take(caller_networks(address))
        return address

    def check(self, caller: Caller) -> None:
        """Raises TokenInvalid for nobody, and PermissionMissing."""
        if not caller.signed_in:
            raise TokenInvalid
        if not caller.may(self._permission):
            raise PermissionMissing(permission=self._permission)

    def _charge(self, sources: Sequence[CallerNetwork], calls: int) -> None:
        if calls and self._buckets is not None:
            self._buckets.charge(sources, calls)

    def _take(self, sources: Sequence[CallerNetwork]) -> None:
        if self._buckets is not None and (wait := self._buckets.take_from_all(sources)):
            raise RateLimited(retry_after=wait)
