"""The provider's API: JSON over HTTP."""

import asyncio
import hmac
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from random import Random
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import rules
from sandbox.ledger import Answer, Ledger
from sandbox.ledger_thread import LedgerThread
from sandbox.request_bodies import ActiveBehavior, Behavior, Capture, EmptyBody, NewPayment, NewRefund

_MAX_BODY_BYTES = 16 * 1024
_MAX_KEY = 255
_MAX_PAGE = 1000
_BODY_SECONDS = 10.0
"""In seconds: the timeout for a body."""

Body = TypeVar("Body", bound=BaseModel)


class _Malformed(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Api:
    """Answers requests, as its behavior says."""

    def __init__(
        self,
        ledger_thread: LedgerThread,
        key: str,
        active_behavior: ActiveBehavior,
        random: Random,
        changed: Callable[[], None],
        *,
        signs: bool,
    ) -> None:
        """`changed` is called after each change; `signs` is whether webhooks can be sent."""
        self._ledger_thread = ledger_thread
        self._authorization = f"Bearer {key}".encode()
        self._active_behavior = active_behavior
        self._random = random
        self._changed = changed
        self._signs = signs

    def app(self) -> Starlette:
        payment = "/v1/payments/{payment_id}"
        routes = [
            self._route("POST", "/v1/payments", self._authorize),
            self._route("GET", "/v1/payments", self._list),
            self._route("GET", payment, self._get),
            self._route("POST", f"{payment}/capture", self._capture),
            self._route("POST", f"{payment}/void", self._void),
            self._route("POST", f"{payment}/refunds", self._refund),
            self._route("POST", f"{payment}/confirm", self._confirm),
            self._route("POST", "/v1/behavior", self._behave, steady=True),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _http_error})

    def _route(
        self, method: str, path: str, answer: Callable[[Request], Awaitable[Mapping[str, Any]]], *, steady: bool = False
    ) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                self._admit(request)
                if not steady and self._random.random() < self._active_behavior.behavior.fail:
                    return _error(503, "unavailable", "Not now: nothing was done.")
                response: Response = JSONResponse(await answer(request))
            except rules.RequestRefused as refused:
                response = _error(refused.status, refused.code, refused.__doc__ or "")
            except _Malformed as malformed:
                response = _error(malformed.status, malformed.code, str(malformed))
            except sqlite3.Error:
                return _error(503, "unavailable", "The ledger cannot be written: nothing was done.")
            if not steady:
                await self._misbehave(request)
            return response

        return Route(path, endpoint, methods=[method])

    def _admit(self, request: Request) -> None:
        given = request.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, self._authorization):
            raise _Malformed(401, "unauthenticated", 'Send the key as "authorization: Bearer <key>".')

    async def _misbehave(self, request: Request) -> None:
        behavior = self._active_behavior.behavior
        await self._active_behavior.delay_answer(behavior.delay)
        if self._random.random() < behavior.drop_answers:
            request.scope["cut"]()
            while (await request.receive())["type"] != "http.disconnect":
                pass

    async def _change(self, act: Callable[[Ledger], Answer]) -> Answer:
        answer = await self._ledger_thread.do(act)
        self._changed()
        return answer

    async def _authorize(self, request: Request) -> Answer:
        key = _key(request, required=True)
        body = await _body(request, NewPayment)
        amount = Decimal(body.amount)
        answer = await self._change(
            lambda ledger: ledger.authorize(body.reference, body.currency, amount, body.method, key)
        )
        if body.method == rules.SLOW:
            await self._active_behavior.delay_answer(self._active_behavior.behavior.slow)
        return answer

    async def _capture(self, request: Request) -> Answer:
        key = _key(request)
        body = await _body(request, Capture)
        amount = None if body.amount is None else Decimal(body.amount)
        return await self._change(lambda ledger: ledger.capture(_payment_id(request), amount, key))

    async def _void(self, request: Request) -> Answer:
        key = _key(request)
        await _body(request, EmptyBody)
        return await self._change(lambda ledger: ledger.void(_payment_id(request), key))

    async def _refund(self, request: Request) -> Answer:
        key = _key(request, required=True)
        body = await _body(request, NewRefund)
        amount = Decimal(body.amount)
        return await self._change(lambda ledger: ledger.refund(_payment_id(request), body.reference, amount, key))

    async def _confirm(self, request: Request) -> Answer:
        await _body(request, EmptyBody)
        return await self._change(lambda ledger: ledger.confirm(_payment_id(request)))

    async def _get(self, request: Request) -> Answer:
        return await self._ledger_thread.do(lambda ledger: ledger.get(_payment_id(request)))

    async def _list(self, request: Request) -> Mapping[str, Any]:
        after, limit = request.query_params.get("after", ""), request.query_params.get("limit", "100")
        if not (limit.isascii() and limit.isdigit() and len(limit) < 5 and 0 < int(limit) <= _MAX_PAGE):
            raise _Malformed(422, "invalid", f"limit: must be from 1 to {_MAX_PAGE}")
        return {"payments": await self._ledger_thread.do(lambda ledger: ledger.list(after, int(limit)))}

    async def _behave(self, request: Request) -> Mapping[str, Any]:
        """Changes what the body names, and leaves the rest of the behavior as it is."""
        named = (await _body(request, Behavior)).model_dump(exclude_unset=True)
        if named.get("webhook_url") and not self._signs:
            raise _Malformed(422, "invalid", "webhook_url: this process was given no secret to sign webhooks with")
        self._active_behavior.behavior = self._active_behavior.behavior.model_copy(update=named)
        self._changed()
        return self._active_behavior.behavior.model_dump()


def _payment_id(request: Request) -> str:
    return str(request.path_params["payment_id"])


def _key(request: Request, *, required: bool = False) -> str:
    key = request.headers.get("idempotency-key", "")
    if required and not key:
        raise _Malformed(422, "key_missing", "Send an Idempotency-Key: it makes repeating this safe.")
    if len(key) > _MAX_KEY or not (key.isascii() and key.isprintable()):
        raise _Malformed(422, "invalid", f"Idempotency-Key: must be up to {_MAX_KEY} printable characters")
    return key


async def _body(request: Request, kind: type[Body]) -> Body:
    """The body, which may be omitted if nothing in it is required."""
    raw = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > _MAX_BODY_BYTES:
                    raise _Malformed(413, "too_large", f"The body may have up to {_MAX_BODY_BYTES} bytes.")
    except (TimeoutError, ClientDisconnect):
        raise _Malformed(408, "too_late", "The body did not arrive.") from None
    try:
        return kind.model_validate_json(bytes(raw) or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "body"
        status = 400 if first["type"] == "json_invalid" else 422
        raise _Malformed(status, "invalid", f"{place}: {first['msg']}") from None


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these
    response = _error(error.status_code, "not_found" if error.status_code == 404 else "invalid", error.detail)
    response.headers.update(error.headers or {})
    return response


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
