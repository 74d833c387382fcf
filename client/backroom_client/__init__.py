"""The hand-written half of the Python client: sign in, retry, page, repeat safely."""

from backroom_client.asynchronous import AsyncBackroom
from backroom_client.channel import Tls
from backroom_client.credentials import Credentials, Key, Password
from backroom_client.errors import FieldViolation, PreconditionViolation, Refusal, refusal_from, refusal_of
from backroom_client.paging import AsyncPages, Pages
from backroom_client.request_ids import request_id_for
from backroom_client.synchronous import Backroom
from backroom_client.watching import AsyncWatch, Watch

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
