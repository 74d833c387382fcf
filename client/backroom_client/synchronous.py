"""The client for code that blocks."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self, cast

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from backroom.identity.v1.access_service_pb2 import ExchangeKeyRequest
from backroom.identity.v1.identity_service_pb2 import LoginRequest
from backroom_client.channel import SIGN_IN_DEADLINE_SECONDS, UNARY_DEADLINE_SECONDS, Tls, open_channel
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
from backroom_client.request_ids import new_request_id, with_request_id, with_request_ids


class Health(Protocol):
    """grpc.health.v1.Health, whose published types name no methods."""

    Check: "grpc.UnaryUnaryMultiCallable[HealthCheckRequest, HealthCheckResponse]"
    Watch: "grpc.UnaryStreamMultiCallable[HealthCheckRequest, HealthCheckResponse]"


class Backroom(Services[grpc.Channel]):
    """Backroom's services for one caller, over one connection; safe to share between threads.

    Each call carries a fresh access token, and each change a request_id that its retries share.
    Without credentials only the public methods can be called.
    """

    def __init__(
        self,
        address: str,
        credentials: Credentials | None = None,
        *,
        tls: Tls | grpc.ChannelCredentials | None = None,
        channel: grpc.Channel | None = None,
        now: Callable[[], datetime] = utc_now,
        new_id: Callable[[], str] = new_request_id,
    ) -> None:
        """A given `channel` stands in for one to the address, and stays its giver's to close."""
        plain = channel if channel is not None else open_channel(address, tls)
        self._opened = plain if channel is None else None
        tokens = Tokens(plain, credentials, now) if credentials is not None else None
        super().__init__(grpc.intercept_channel(plain, Calls(tokens, new_id)))
        self.health = cast(Health, HealthStub(self.channel))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection and the calls under way."""
        if self._opened is not None:
            self._opened.close()


class Tokens:
    """One caller's access token; of many calls that need a new one, one fetches it and all share what comes of it."""

    def __init__(self, channel: grpc.Channel, credentials: Credentials, now: Callable[[], datetime]) -> None:
        self._services: Services[grpc.Channel] = Services(channel)
        self._credentials = credentials
        self._now = now
        self._token: Token | None = None
        self._fetching: Future[Token] | None = None
        self._lock = threading.Lock()

    def get(self, rejected: Token | None = None) -> Token:
        """The token to use now, which is not the rejected one."""
        with self._lock:
            if token := usable(self._token, rejected, self._now()):
                return token
            fetching = self._fetching
            if mine := fetching is None:
                fetching = self._fetching = Future()
        if mine:
            self._fetch(fetching)
        return fetching.result()

    def _fetch(self, fetching: Future[Token]) -> None:
        try:
            self._token = self._sign_in()
        except BaseException as error:
            fetching.set_exception(error)
            raise
        finally:
            self._fetching = None
        fetching.set_result(self._token)

    def _sign_in(self) -> Token:
        *better, last = sign_in_requests(self._credentials, self._token)
        for way in better:
            try:
                return token_of(self._call(way))
            except grpc.RpcError as error:
                if not is_unauthenticated(error):
                    raise
        return token_of(self._call(last))

    def _call(self, request: SignInRequest) -> SignInResponse:
        if isinstance(request, ExchangeKeyRequest):
            return self._services.access.ExchangeKey(request, timeout=SIGN_IN_DEADLINE_SECONDS, wait_for_ready=True)
        if isinstance(request, LoginRequest):
            return self._services.identity.Login(request, timeout=SIGN_IN_DEADLINE_SECONDS, wait_for_ready=True)
        return self._services.identity.Refresh(request, timeout=SIGN_IN_DEADLINE_SECONDS, wait_for_ready=True)


@dataclass
class CallDetails(grpc.ClientCallDetails):
    """How a call is made; gRPC has the type, but no way to make one."""

    method: str
    timeout: float | None
    metadata: tuple[tuple[str, str | bytes], ...] | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class Calls(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Gives each call its token, its request_id and, where it is unary, a deadline."""

    def __init__(self, tokens: Tokens | None, new_id: Callable[[], str]) -> None:
        self._tokens = tokens
        self._new_id = new_id

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Makes the call once more where its token alone was rejected; the request_id is the same then."""
        request = with_request_id(request, self._new_id)
        token = self._token(details)
        timeout = UNARY_DEADLINE_SECONDS if details.timeout is None else details.timeout
        call = continuation(_prepared(details, token, timeout), request)
        # A call that is not done is a future, and waiting here for its end would make it block.
        if self._tokens is None or token is None or not call.done() or not is_token_rejected(call):
            return call
        return continuation(_prepared(details, self._tokens.get(rejected=token), timeout), request)

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        request = with_request_id(request, self._new_id)
        return continuation(_prepared(details, self._token(details), details.timeout), request)

    def intercept_stream_unary(self, continuation: Callable[..., Any], details: Any, requests: Iterator[Any]) -> Any:
        requests = with_request_ids(requests, self._new_id, only_first=True)
        return continuation(_prepared(details, self._token(details), details.timeout), requests)

    def intercept_stream_stream(self, continuation: Callable[..., Any], details: Any, requests: Iterator[Any]) -> Any:
        requests = with_request_ids(requests, self._new_id, only_first=False)
        return continuation(_prepared(details, self._token(details), details.timeout), requests)

    def _token(self, details: grpc.ClientCallDetails) -> Token | None:
        return self._tokens.get() if self._tokens is not None and is_protected(details.method) else None


def _prepared(details: grpc.ClientCallDetails, token: Token | None, timeout: float | None) -> grpc.ClientCallDetails:
    metadata = (*(details.metadata or ()), *([bearer(token)] if token else []))
    return CallDetails(
        details.method, timeout, metadata, details.credentials, details.wait_for_ready, details.compression
    )
