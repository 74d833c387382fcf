"""The hand-written half of the Python client: sign in, retry, page, repeat safely."""

from client.asynchronous import AsyncBackroom
from client.channel import Tls
from client.credentials import Credentials, Key, Password
from client.errors import FieldViolation, PreconditionViolation, Refusal, refusal_from, refusal_of
from client.paging import AsyncPages, Pages
from client.request_ids import request_id_for
from client.synchronous import Backroom
from client.watching import AsyncWatch, Watch

__all__ = [
    "AsyncBackroom",
    "AsyncPages",
    "AsyncWatch",
    "Backroom",
    "Credentials",
    "FieldViolation",
    "Key",
    "Pages",
    "Password",
    "PreconditionViolation",
    "Refusal",
    "Tls",
    "Watch",
    "refusal_from",
    "refusal_of",
    "request_id_for",
]
