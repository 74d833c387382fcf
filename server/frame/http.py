"""What the routes of a module need of a request: its body, within bounds, and who asks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from math import ceil
from time import perf_counter

import structlog
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from uuid_utils import uuid4

from server.frame.addresses import Network
from server.frame.call import CALL_ID
from server.frame.caller import ANONYMOUS, Caller
from server.frame.entity_tags import matches
from server.frame.errors import Code, RateLimited, Refusal, TokenInvalid
from server.frame.interceptors.forwarded import MAX_HOPS, real_address
from server.frame.log import described
from server.frame.module import Authentication
from storage.errors import StoreError
from storage.frame.records import NOBODY, ChangeContext

API_KEY_HEADER = "x-api-key"
_PREFLIGHT_SECONDS = 600

_STATUSES: Mapping[Code, int] = {
    Code.INVALID_ARGUMENT: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ABORTED: 409,
    Code.FAILED_PRECONDITION: 409,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.UNAVAILABLE: 503,
}

Handler = Callable[[Request], Awaitable[Response]]
SendFile = Callable[[int, int, int, float], Awaitable[None]]
"""Sends a file's bytes from an offset on, so many of them; raises TimeoutError where the reader makes no room for so
many seconds, EOFError where the file is shorter, and ConnectionError."""


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


def http_status(refusal: Refusal) -> int:
    return _STATUSES.get(refusal.code, 500)


def http_headers(refusal: Refusal) -> dict[str, str]:
    """When to try again, and with what."""
    headers = {"www-authenticate": "Bearer"} if refusal.code is Code.UNAUTHENTICATED else {}
    if refusal.retry_after is not None:
        headers["retry-after"] = str(max(1, ceil(refusal.retry_after)))
    return headers


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


class PublicAnswers:
    """Answers in plain text what goes wrong on a module's pages, and writes a line of the log for each request."""

    def __init__(
        self,
        module: str,
        logger: structlog.typing.FilteringBoundLogger,
        *,
        hidden: tuple[type[Refusal], ...],
        nothing_here: str,
        headers: Mapping[str, str],
    ) -> None:
        """`hidden` is refused as if nothing were there, alike for whatever reason, so that nobody learns more by
        trying; `headers` are of every answer.
        """
        self._module = module
        self._logger = logger
        self._hidden = hidden
        self._nothing_here = nothing_here
        self._headers = headers

    def around(self, act: Handler) -> Handler:
        """Answers with what `act` does, which may raise refusals and StoreError."""

        async def answer(request: Request) -> Response:
            call_id, began, fault = call_id_of(request), perf_counter(), ""
            try:
                found = await act(request)
            except self._hidden:
                found = PlainTextResponse(self._nothing_here, 404)
            except RateLimited as refusal:
                headers = {"retry-after": str(ceil(refusal.retry_after or 1))}
                found = PlainTextResponse("Too many requests: try again later.\n", 429, headers)
            except Refusal as refusal:
                found = PlainTextResponse(f"{refusal.message()}\n", http_status(refusal), http_headers(refusal))
            except StoreError:
                found = PlainTextResponse("The database does not answer.\n", 503, {"retry-after": "1"})
            except Exception as error:  # noqa: BLE001 - nothing may rise further, where its text would be answered
                fault = described(error)
                found = PlainTextResponse(f"This could not be answered; the call is {call_id}.\n", 500)
            found.headers.update({**self._headers, "x-request-id": call_id})
            duration_ms = round((perf_counter() - began) * 1000, 2)
            line = {"call_id": call_id, "module": self._module, "status": found.status_code, "duration_ms": duration_ms}
            if fault:
                self._logger.error("http_request", **line, fault=fault)
            else:
                self._logger.info("http_request", **line)
            return found

        return answer


def is_known(request: Request, etag: str) -> bool:
    """Whether the client has already what the tag is of."""
    asked = ", ".join(request.headers.getlist("if-none-match"))
    return bool(asked) and matches(asked, etag)


def unless_known(request: Request, etag: str) -> Response | None:
    """The answer to a client that has what is there already; None where it has not."""
    return Response(status_code=304, headers={"etag": etag}) if is_known(request, etag) else None


def stay_open(request: Request) -> bool:
    """Lets the answer take as long as it likes; False where too many do, and this one must be ended."""
    # A server that bounds no answer says nothing of it, such as one in a test of a route alone.
    allow = request.scope.get("state", {}).get("stay_open")
    return allow is None or allow()


def give_up(request: Request) -> None:
    """Ends the connection at once, so that nobody takes the answer under way for a whole one."""
    end = request.scope.get("state", {}).get("give_up")
    if end is not None:
        end()


def file_sending(request: Request) -> SendFile | None:
    """What sends the answer's body out of an open file, at a fraction of the cost; None on a connection that cannot,
    such as one under TLS."""
    found: SendFile | None = request.scope.get("state", {}).get("send_file")
    return found


def take_body(request: Request) -> bool:
    """Lets a body of any size take as long as it likes, and its answer; False where too many do.

    Whoever reads it ends a client that sends nothing, or reads nothing, for long.
    """
    allow = request.scope.get("state", {}).get("take_body")
    return allow is None or allow()


async def body_of(request: Request, limit_bytes: int, *, passed_over_bytes: int = 0) -> bytes | None:
    """The whole body; None where it is too large, of which no more is read than it takes to see that.

    One that is larger by up to `passed_over_bytes` is read to its end all the same: who is still sending when the
    connection ends does not get to read why.
    """
    announced, most = request.headers.get("content-length", ""), limit_bytes + passed_over_bytes
    if announced.isdecimal() and int(announced) > most:
        return None
    body, size = bytearray(), 0
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            if size > most:
                return None
            if size <= limit_bytes:
                body += chunk
    return bytes(body) if size <= limit_bytes else None


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


def for_origins(
    origins: Sequence[str], *, methods: Sequence[str], takes: Sequence[str], shows: Sequence[str]
) -> Middleware:
    """Lets pages of these origins, and of no others, send these headers and read those."""
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=methods,
        allow_headers=takes,
        expose_headers=shows,
        max_age=_PREFLIGHT_SECONDS,
    )
