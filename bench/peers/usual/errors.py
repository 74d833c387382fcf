"""Refusals, and their responses."""

from typing import ClassVar

from fastapi import Request, status
from fastapi.responses import JSONResponse


class Refusal(Exception):
    """The docstring is the message."""

    status_code: ClassVar[int]
    reason: ClassVar[str]


class OrderNotFound(Refusal):
    """No order of this id can be seen by the caller."""

    status_code = status.HTTP_404_NOT_FOUND
    reason = "ORDER_NOT_FOUND"


class ProductNotFound(Refusal):
    """The product does not exist."""

    status_code = status.HTTP_404_NOT_FOUND
    reason = "PRODUCT_NOT_FOUND"


class FlagNotFound(Refusal):
    """There is no such flag."""

    status_code = status.HTTP_404_NOT_FOUND
    reason = "FLAG_NOT_FOUND"


class FlagTypeMismatch(Refusal):
    """The flag is of another type."""

    status_code = status.HTTP_400_BAD_REQUEST
    reason = "TYPE_MISMATCH"


class ProductArchived(Refusal):
    """A product of the order is no longer sold."""

    status_code = status.HTTP_409_CONFLICT
    reason = "PRODUCT_ARCHIVED"


class CurrencyMismatch(Refusal):
    """The lines are priced in more than one currency."""

    status_code = status.HTTP_422_UNPROCESSABLE_CONTENT
    reason = "CURRENCY_MISMATCH"


class OutOfStock(Refusal):
    """A line asks for more than is available."""

    status_code = status.HTTP_409_CONFLICT
    reason = "OUT_OF_STOCK"


class ReferenceTaken(Refusal):
    """Another order of the caller has this reference."""

    status_code = status.HTTP_409_CONFLICT
    reason = "REFERENCE_TAKEN"


class RequestIdReused(Refusal):
    """The request id was used before with other content."""

    status_code = status.HTTP_422_UNPROCESSABLE_CONTENT
    reason = "REQUEST_ID_REUSED"


class PageTokenInvalid(Refusal):
    """The page token is not of this list."""

    status_code = status.HTTP_422_UNPROCESSABLE_CONTENT
    reason = "PAGE_TOKEN_INVALID"


class TokenInvalid(Refusal):
    """The access token is not one of ours, or has expired."""

    status_code = status.HTTP_401_UNAUTHORIZED
    reason = "TOKEN_INVALID"


class PermissionMissing(Refusal):
    """The caller may not do this."""

    status_code = status.HTTP_403_FORBIDDEN
    reason = "PERMISSION_MISSING"


async def refused(_request: Request, refusal: Exception) -> JSONResponse:
    """The response to a refused call."""
    if not isinstance(refusal, Refusal):
        raise refusal
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status_code == status.HTTP_401_UNAUTHORIZED else None
    content = {"reason": refusal.reason, "detail": refusal.__doc__}
    return JSONResponse(content, status_code=refusal.status_code, headers=headers)
