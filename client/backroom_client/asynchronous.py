"""The client for asyncio."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self, cast

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from backroom.identity.v1.access_service_pb2 import ExchangeKeyRequest
from backroom.identity.v1.identity_service_pb2 import LoginRequest
from backroom_client.channel import SIGN_IN_DEADLINE_SECONDS, UNARY_DEADLINE_SECONDS, Tls, open_aio_channel
from backroom_client.contract import Services
from backroom_client.credentials import (
    Credentials,
    SignInRequest,
    SignInResponse,
    Token,
    bearer,
    is_protected,
    is_token_rejected,
    is_unauthenticated,
    sign_in_requests,
    token_of,
    usable,
    utc_now,
)
from backroom_client.request_ids import new_request_id, with_request_id, with_request_ids_async


class AsyncHealth(Protocol):
    """grpc.health.v1.Health, whose published types name no methods."""

    Check: "grpc.aio.UnaryUnaryMultiCallable[HealthCheckRequest, HealthCheckResponse]"
    Watch: "grpc.aio.UnaryStreamMultiCallable[HealthCheckRequest, HealthCheckResponse]"


class AsyncBackroom(Services[grpc.aio.Channel]):
    """Backroom's services for one caller, over one connection; made and used inside one event loop.

    Each call carries a fresh access token, and each change a request_id that its retries share.
    Without credentials only the public methods can be called.
    """

    def __init__(
        self,
        address: str,
        credentials: Credentials | None = None,
        *,
        tls: Tls | grpc.ChannelCredentials | None = None,
        now: Callable[[], datetime] = utc_now,
        new_id: Callable[[], str] = new_request_id,
    ) -> None:
        # Signing in has a channel of its own, without interceptors; the connection is the same.
        self._plain = open_aio_channel(address, tls)
        self._tokens = Tokens(self._plain, credentials, now) if credentials is not None else None
        super().__init__(open_aio_channel(address, tls, interceptors(self._tokens, new_id)))
        self.health = cast(AsyncHealth, HealthStub(self.channel))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection and the calls under way."""
        if self._tokens is not None:
            await self._tokens.close()
        await self.channel.close()
        await self._plain.close()


class Tokens:
    """One caller's access token; of many calls that need a new one, one fetches it and all share what comes of it."""

    def __init__(self, channel: grpc.aio.Channel, credentials: Credentials, now: Callable[[], datetime]) -> None:
        self._services: Services[grpc.aio.Channel] = Services(channel)
        self._credentials = credentials
        self._now = now
        self._token: Token | None = None
        self._fetching: asyncio.Task[Token] | None = None

    async def get(self, rejected: Token | None = None) -> Token:
        """The token to use now, which is not the rejected one."""
        if token := usable(self._token, rejected, self._now()):
            return token
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._sign_in())
        # A call that is cancelled must not take the token from the others that wait for it.
        return await asyncio.shield(self._fetching)

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _sign_in(self) -> Token:
        *better, last = sign_in_requests(self._credentials, self._token)
        for way in better:
            try:
                self._token = token_of(await self._call(way))
            except grpc.aio.AioRpcError as error:
                if not is_unauthenticated(error):
                    raise
            else:
                return self._token
        self._token = token_of(await self._call(last))
        return self._token

    async def _call(self, request: SignInRequest) -> SignInResponse:
        if isinstance(request, ExchangeKeyRequest):
            return await self._services.access.ExchangeKey(
                request, timeout=SIGN_IN_DEADLINE_SECONDS, wait_for_ready=True
            )
        if isinstance(request, LoginRequest):
            return await self._services.identity.Login(request, timeout=SIGN_IN_DEADLINE_SECONDS, wait_for_ready=True)
        return await self._services.identity.Refresh(request, timeout=SIGN_IN_DEADLINE_SECONDS, wait_for_ready=True)


def interceptors(tokens: Tokens | None, new_id: Callable[[], str]) -> Sequence[grpc.aio.ClientInterceptor]:
    """One for each shape of call: asyncio's channel uses an interceptor for one shape only."""
    return [shape(tokens, new_id) for shape in (UnaryUnary, UnaryStream, StreamUnary, StreamStream)]


class Calls:
    """Gives each call its token, its request_id and, where it is unary, a deadline."""

    def __init__(self, tokens: Tokens | None, new_id: Callable[[], str]) -> None:
        self._tokens = tokens
        self._new_id = new_id

    async def _token(self, details: grpc.aio.ClientCallDetails) -> Token | None:
        return await self._tokens.get() if self._tokens is not None and is_protected(details.method) else None

    async def _signed(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        return _prepared(details, await self._token(details), details.timeout)


class UnaryUnary(Calls, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Makes the call once more where its token alone was rejected; the request_id is the same then."""
        request = with_request_id(request, self._new_id)
        token = await self._token(details)
        timeout = UNARY_DEADLINE_SECONDS if details.timeout is None else details.timeout
        call = await continuation(_prepared(details, token, timeout), request)
        if self._tokens is None or token is None:
            return call
        try:
            await call
        except grpc.aio.AioRpcError as error:
            if is_token_rejected(error):
                renewed = await self._tokens.get(rejected=token)
                return await continuation(_prepared(details, renewed, timeout), request)
        return call


class UnaryStream(Calls, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        request = with_request_id(request, self._new_id)
        return await continuation(await self._signed(details), request)


class StreamUnary(Calls, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        requests = with_request_ids_async(requests, self._new_id, only_first=True)
        return await continuation(await self._signed(details), requests)


class StreamStream(Calls, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        requests = with_request_ids_async(requests, self._new_id, only_first=False)
        return await continuation(await self._signed(details), requests)


def _prepared(
    details: grpc.aio.ClientCallDetails, token: Token | None, timeout: float | None
) -> grpc.aio.ClientCallDetails:
    metadata = grpc.aio.Metadata(*(details.metadata or ()), *([bearer(token)] if token else []))
    return grpc.aio.ClientCallDetails(details.method, timeout, metadata, details.credentials, details.wait_for_ready)
