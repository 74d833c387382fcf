"""What the routes of a module need of a request: its body, within bounds, and who asks."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime

from starlette.requests import Request
from uuid_utils import uuid4

from server.frame.addresses import Network
from server.frame.call import CALL_ID
from server.frame.caller import ANONYMOUS, Caller
from server.frame.errors import TokenInvalid
from server.frame.interceptors.forwarded import MAX_HOPS, real_address
from server.frame.module import Authentication
from storage.frame.records import NOBODY, ChangeContext

API_KEY_HEADER = "x-api-key"


class HttpCallers:
    """Knows who asks on the HTTP side, by an access token or an API key, and from where."""

    def __init__(self, authentication: Authentication, trusted_proxies: Sequence[Network]) -> None:
        self._authentication = authentication
        self._trusted = trusted_proxies

    def address_of(self, request: Request) -> str:
        """Where a request comes from: its connection's address, or what the proxies say that are trusted."""
        peer = request.client.host if request.client else ""
        sent = request.headers.getlist("x-forwarded-for") if self._trusted else ()
        hops = [hop.strip() for value in sent for hop in value.split(",")][-MAX_HOPS:]
        return real_address(peer, hops, self._trusted)

    async def caller_of(self, request: Request, action: str, call_id: str, *, while_away: bool = False) -> Caller:
        """Who shows a token or a key by `Authorization: Bearer` or `X-API-Key`; ANONYMOUS where nothing is shown.

        Raises TokenInvalid where it stands for nobody, and where more than one is shown.
        A key that is refused is recorded, with the action that it was shown for. With `while_away`, who was let in
        before is let in while the database is away.
        """
        bearers, keys = request.headers.getlist("authorization"), request.headers.getlist(API_KEY_HEADER)
        if not bearers and not keys:
            return ANONYMOUS
        if len(bearers) + len(keys) != 1:
            raise TokenInvalid
        shown = keys[0] if keys else bearer_of(bearers[0])
        context = ChangeContext(NOBODY, action, datetime.now(UTC), self.address_of(request), call_id)
        return await self._authentication.caller_with(shown, context, while_away=while_away)


def bearer_of(header: str) -> str:
    """The token of an authorization header; raises TokenInvalid where there is none."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenInvalid
    return token


def call_id_of(request: Request) -> str:
    """What names the request in the log: the caller's own x-request-id where it sent a short one."""
    sent = request.headers.get("x-request-id", "")
    return sent if CALL_ID.fullmatch(sent) else str(uuid4())


def stay_open(request: Request) -> bool:
    """Lets the answer take as long as it likes; False where too many do, and this one must be ended."""
    # A server that bounds no answer says nothing of it, such as one in a test of a route alone.
    allow = request.scope.get("state", {}).get("stay_open")
    return allow is None or allow()


async def body_of(request: Request, limit_bytes: int) -> bytes | None:
    """The whole body; None where it is too large, of which no more is read than it takes to see that."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        return None
    body = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > limit_bytes:
                return None
    return bytes(body)


class Bodies:
    """Places for bodies on their way; above the bounds, a new one takes the place of the oldest.

    So those who send slowly keep out nobody who sends promptly.
    """

    def __init__(self, *, most: int = 64, each: int = 32) -> None:
        """`most` in all, and `each` of one source."""
        self._most = most
        self._each = each
        self._places: dict[asyncio.Timeout, str] = {}

    @asynccontextmanager
    async def place(self, source: str) -> AsyncIterator[None]:
        """Raises TimeoutError within the block once its place is given to another."""
        same = [place for place, name in self._places.items() if name == source]
        if len(same) >= self._each:
            self._end(same[0])
        elif len(self._places) >= self._most:
            self._end(next(iter(self._places)))
        async with asyncio.timeout(None) as place:
            self._places[place] = source
            try:
                yield
            finally:
                self._places.pop(place, None)

    def _end(self, place: asyncio.Timeout) -> None:
        del self._places[place]
        place.reschedule(asyncio.get_running_loop().time())
