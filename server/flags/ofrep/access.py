"""Who may evaluate by OFREP, and how often."""

import asyncio
from collections.abc import Callable
from time import monotonic

from starlette.requests import Request

from server.flags.ofrep.stream_urls import StreamRight
from server.frame.addresses import Network, is_within
from server.frame.caller import ANONYMOUS
from server.frame.errors import TokenInvalid
from server.frame.http import HttpCallers
from server.frame.http_access import Asking, HttpAccess
from server.frame.module import Authentication
from storage.errors import StoreError
from storage.frame.records import NOBODY

PERMISSION = "flags.evaluate"
_RETRY_SECONDS = 1.0


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
        self._open_to = open_to
        self._access = HttpAccess(callers, PERMISSION, calls_per_second, open_to=open_to, while_away=True, clock=clock)

    async def admitted(self, request: Request, call_id: str) -> Asking:
        """Raises TokenInvalid, PermissionMissing, RateLimited, StoreError."""
        return await self._access.admitted(request, f"OFREP {request.method}", call_id)

    def charge(self, asking: Asking, calls: int) -> None:
        """That an answer cost as much as so many calls more."""
        self._access.charge(asking, calls)

    async def holder(self, right: StreamRight, request: Request) -> Asking:
        """Who holds a stream's URL, if they still may open one; raises what `admitted` does."""
        address = self._access.charged_address(request)
        if right.account_id == NOBODY:
            if not is_within(address, self._open_to):
                raise TokenInvalid
            return Asking(ANONYMOUS, address)
        caller = await self._authentication.caller_behind(right.account_id, right.issued_for, while_away=True)
        self._access.check(caller)
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
                self._access.check(caller)
            except StoreError:
                await asyncio.sleep(_RETRY_SECONDS)
