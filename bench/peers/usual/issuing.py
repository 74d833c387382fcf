"""Access tokens for the callers of a bench, as a sign-in service would issue them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.peers.usual.security import ALGORITHM, AUDIENCE, ISSUER

_LIFE = timedelta(hours=12)
"""Longer than a bench."""


class TokenIssuer:
    """Signs with its own private key; the server gets the public key."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    @property
    def public_key(self) -> str:
        """In PEM."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def token(self, account_id: UUID, permissions: Sequence[str], *, life: timedelta = _LIFE) -> str:
        now = datetime.now(UTC)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(account_id),
            "iat": now,
            "exp": now + life,
            "jti": str(uuid4()),
            "permissions": list(permissions),
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)
