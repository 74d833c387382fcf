"""What a caller signs in with, and the decisions about its access token that both flavours share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import grpc

from backroom.identity.v1.access_service_pb2 import ExchangeKeyRequest, ExchangeKeyResponse
from backroom.identity.v1.identity_service_pb2 import LoginRequest, LoginResponse, RefreshRequest, RefreshResponse
from backroom_client.contract import PROTECTED
from backroom_client.errors import refusal_of

RENEW_BEFORE = timedelta(minutes=1)
"""How long before its expiry a token is renewed."""


@dataclass(frozen=True, slots=True)
class Key:
    """A service account's key."""

    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Password:
    """A person's email and password; after the first sign-in the session is refreshed, not opened again."""

    email: str
    password: str = field(repr=False)


Credentials: TypeAlias = Key | Password
SignInRequest: TypeAlias = ExchangeKeyRequest | LoginRequest | RefreshRequest
SignInResponse: TypeAlias = ExchangeKeyResponse | LoginResponse | RefreshResponse


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, and for a person the refresh token that came with it."""

    access: str = field(repr=False)
    expire_time: datetime
    refresh: str = field(default="", repr=False)


def sign_in_requests(credentials: Credentials, held: Token | None) -> Sequence[SignInRequest]:
    """The calls that can bring a new token, best first; the next is for where the one before is UNAUTHENTICATED."""
    if isinstance(credentials, Key):
        return [ExchangeKeyRequest(key=credentials.key)]
    login = LoginRequest(email=credentials.email, password=credentials.password)
    return [RefreshRequest(refresh_token=held.refresh), login] if held else [login]


def token_of(response: SignInResponse) -> Token:
    if isinstance(response, ExchangeKeyResponse):
        return Token(response.access_token, response.expire_time.ToDatetime(UTC))
    tokens = response.tokens
    return Token(tokens.access_token, tokens.access_token_expire_time.ToDatetime(UTC), tokens.refresh_token)


def usable(token: Token | None, rejected: Token | None, now: datetime) -> Token | None:
    """The token, where there is one that was not rejected and that lasts a while yet."""
    if token is None or token is rejected or token.expire_time - now <= RENEW_BEFORE:
        return None
    return token


def is_protected(method: str | bytes) -> bool:
    """Whether a call takes an access token; asyncio's calls have their path as bytes."""
    return (method.decode() if isinstance(method, bytes) else method) in PROTECTED


def is_unauthenticated(error: grpc.RpcError) -> bool:
    return error.code() is grpc.StatusCode.UNAUTHENTICATED


def is_token_rejected(error: grpc.RpcError) -> bool:
    """Whether a call failed for its access token alone, so that a new one may fix it."""
    refusal = refusal_of(error) if is_unauthenticated(error) else None
    return refusal is not None and refusal.reason == "TOKEN_INVALID"


def bearer(token: Token) -> tuple[str, str]:
    """The metadata that shows the token."""
    return ("authorization", f"Bearer {token.access}")


def utc_now() -> datetime:
    return datetime.now(UTC)
