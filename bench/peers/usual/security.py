"""The caller: an Ed25519 JWT in the Authorization header, whose claim `permissions` lists its permissions."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from bench.peers.usual.errors import PermissionMissing, TokenInvalid

ISSUER = AUDIENCE = "usual"
ALGORITHM = "EdDSA"

_bearer = HTTPBearer()


@dataclass(frozen=True, slots=True)
class Caller:
    account_id: UUID
    permissions: frozenset[str]

    def may(self, permission: str) -> bool:
        return permission in self.permissions


class TokenVerifier:
    def __init__(self, public_key: str) -> None:
        """`public_key` is in PEM; raises ValueError if it is not Ed25519."""
        key = load_pem_public_key(public_key.encode())
        if not isinstance(key, Ed25519PublicKey):
            raise TypeError("the public key is not of Ed25519")
        self._key = key

    def verified(self, token: str) -> Caller:
        """Raises TokenInvalid."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={"require": ["iss", "aud", "sub", "iat", "exp", "jti", "permissions"]},
            )
            return Caller(UUID(claims["sub"]), frozenset(claims["permissions"]))
        except (jwt.PyJWTError, ValueError, TypeError):
            raise TokenInvalid from None


async def get_caller(
    needed: SecurityScopes, request: Request, credentials: Annotated[HTTPAuthorizationCredentials, Depends(_bearer)]
) -> Caller:
    """The caller; raises TokenInvalid, PermissionMissing."""
    verifier: TokenVerifier = request.app.state.verifier
    caller = verifier.verified(credentials.credentials)
    if not all(map(caller.may, needed.scopes)):
        raise PermissionMissing
    return caller
