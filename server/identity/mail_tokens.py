"""Tokens that are sent by mail: 160 random bits each, with a prefix that says what they are good for."""

import hashlib
import secrets
from collections.abc import Callable
from typing import Final

from server.frame import base64url
from storage.identity.records import MailPurpose

PREFIXES: Final = {MailPurpose.VERIFY: "brv_", MailPurpose.RESET: "brp_"}
_SIZE = 20


def new_mail_token(purpose: MailPurpose, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    return PREFIXES[purpose] + base64url.encoded(random_bytes(_SIZE))


def with_purpose(token: str, purpose: MailPurpose) -> str:
    """The token, with the prefix of what it is to be good for."""
    return PREFIXES[purpose] + token.partition("_")[2]


def mail_token_hash(token: str) -> bytes:
    """What is stored of a token; it holds 160 random bits, so that no slow hash is needed."""
    return hashlib.sha256(token.encode()).digest()
