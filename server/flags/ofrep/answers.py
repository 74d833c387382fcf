"""Evaluations and refusals, as OFREP's clients read them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import orjson

from server.flags.errors import FlagNotFound, TargetingFailed
from server.flags.rules.evaluating import TARGETING_KEY, Evaluation
from server.frame.errors import Refusal
from server.frame.http import http_headers, http_status
from storage.flags.records import FlagType


class ErrorCode(StrEnum):
    """Why a flag is not answered; clients know them by these names."""

    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    GENERAL = "GENERAL"
    INVALID_CONTEXT = "INVALID_CONTEXT"
    PARSE_ERROR = "PARSE_ERROR"


class RequestInvalid(Exception):
    """A request that OFREP does not know."""

    def __init__(self, error: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.error = error

    def message(self) -> str:
        return str(self)


_MAX_DEPTH = 100
"""How deeply a context may be nested: as deeply as protobuf takes one."""


def context_of(body: bytes) -> Mapping[str, Any]:
    """The evaluation context of a request; empty where it has none. Raises RequestInvalid."""
    try:
        request = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError:
        raise RequestInvalid(ErrorCode.PARSE_ERROR, "The body is not JSON.") from None
    if not isinstance(request, dict):
        raise RequestInvalid(ErrorCode.PARSE_ERROR, "The body must be a JSON object.")
    context = request.get("context")
    if context is None:
        return {}
    if not isinstance(context, dict):
        raise RequestInvalid(ErrorCode.INVALID_CONTEXT, "context must be a JSON object.")
    if not isinstance(context.get(TARGETING_KEY, ""), str | None):
        raise RequestInvalid(ErrorCode.INVALID_CONTEXT, f"context.{TARGETING_KEY} must be a string.")
    if body.count(b"[") + body.count(b"{") > _MAX_DEPTH and _is_deeper(context, _MAX_DEPTH):
        raise RequestInvalid(ErrorCode.INVALID_CONTEXT, f"context must be at most {_MAX_DEPTH} levels deep.")
    return context


def _is_deeper(value: Any, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [each for values in inner for each in values]
    return any(isinstance(each, dict | list) for each in level)


def success(found: Evaluation) -> dict[str, Any]:
    """One flag's answer: reason and variant are always there, since Python's client reads both unasked.

    Without a value the client uses the default in its own code; then no variant is served, and the variant is empty.
    """
    answer: dict[str, Any] = {
        "key": found.flag_key,
        "reason": found.reason,
        "variant": found.variant or "",
        "metadata": found.metadata,
    }
    if found.variant is not None:
        # Python's client takes no integer for a float; a whole one is written as 1.0.
        answer["value"] = float(found.value) if found.type is FlagType.FLOAT else found.value
    return answer


def failure(key: str, refusal: Refusal | RequestInvalid) -> dict[str, Any]:
    """Why a flag, or a request for one, is not answered."""
    return {"key": key, **failure_of_all(refusal)}


def failure_of_all(refusal: Refusal | RequestInvalid) -> dict[str, Any]:
    """Why a request for all flags is not answered."""
    return {"errorCode": _error_code(refusal), "errorDetails": refusal.message()}


def status_of(refusal: Refusal | RequestInvalid) -> int:
    """A flag whose targeting fails is a 400: clients take a 500 for the server's fault, and some a retry's."""
    if isinstance(refusal, RequestInvalid | TargetingFailed):
        return 400
    return http_status(refusal)


def headers_of(refusal: Refusal | RequestInvalid) -> dict[str, str]:
    """When to try again, and with what."""
    return {} if isinstance(refusal, RequestInvalid) else http_headers(refusal)


def _error_code(refusal: Refusal | RequestInvalid) -> ErrorCode:
    match refusal:
        case RequestInvalid():
            return refusal.error
        case FlagNotFound():
            return ErrorCode.FLAG_NOT_FOUND
        case _:
            return ErrorCode.GENERAL
