"""The provider of our own, `backroom sandbox-provider`."""

from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any, Literal, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, ValidationError

from server.commerce.providers.port import (
    PaymentReport,
    ProviderKeyRefused,
    ProviderMisunderstood,
    ProviderUnavailable,
    RefundReport,
)
from storage.commerce.records import Price, RefundState

_KEY_REFUSED = (401, 403)
_TOO_MANY = 429


class _Refund(BaseModel):
    id: str
    reference: str
    amount: Decimal
    status: RefundState


class _Payment(BaseModel):
    """A payment as the sandbox reports it."""

    id: str
    reference: str
    currency: str
    authorized: Decimal
    captured: Decimal
    refunded: Decimal
    failure: str
    voided: bool
    refunds: tuple[_Refund, ...]

    def report(self) -> PaymentReport:
        return PaymentReport(
            payment_id=_own_id(self.reference),
            provider_id=self.id,
            currency=self.currency,
            authorized=self.authorized,
            captured=self.captured,
            refunded=self.refunded,
            failure=self.failure,
            voided=self.voided,
            refunds=tuple(
                RefundReport(_own_id(refund.reference), refund.id, refund.amount, refund.status)
                for refund in self.refunds
            ),
        )


class _Page(BaseModel):
    payments: tuple[_Payment, ...]


class _Event(BaseModel):
    type: str
    data: Any = None


class _Error(BaseModel):
    class _Why(BaseModel):
        code: str

    error: _Why


Kind = TypeVar("Kind", bound=BaseModel)


class SandboxProvider:
    """Calls the sandbox over HTTP; the connections are kept and shared."""

    name: Literal["sandbox"] = "sandbox"

    def __init__(
        self, url: str, key: str, *, timeout: float = 10.0, connections: int = 64, page_size: int = 500
    ) -> None:
        """`timeout` in seconds: how long an answer may take before the outcome of the request is unknown."""
        self._page_size = page_size
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(timeout, connect=min(timeout, 3.0)),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            # To read the certificates that are trusted takes as long as ten calls: not where there are none to check.
            verify=not url.startswith("http:"),
            # A proxy of the environment has no business between this process and its sandbox.
            trust_env=False,
        )

    def payable(self, amount: Price) -> bool:
        return True  # it counts as we do, to nine decimals

    async def authorize(self, payment_id: UUID, amount: Price, method: str, key: str) -> PaymentReport:
        body = {
            "amount": f"{amount.amount:f}",
            "currency": amount.currency,
            "reference": str(payment_id),
            "method": method,
        }
        return _report(await self._post("/v1/payments", key, body))

    async def capture(self, provider_id: str, amount: Price, key: str) -> PaymentReport:
        answer = await self._post(f"/v1/payments/{provider_id}/capture", key, {"amount": f"{amount.amount:f}"})
        if answer.status_code == httpx.codes.CONFLICT and _parsed(_Error, answer).error.code == "not_authorized":
            return await self.find(provider_id)
        return _report(answer)

    async def void(self, provider_id: str, key: str) -> PaymentReport:
        return _report(await self._post(f"/v1/payments/{provider_id}/void", key, {}))

    async def refund(self, provider_id: str, refund_id: UUID, amount: Price, key: str) -> PaymentReport:
        body = {"amount": f"{amount.amount:f}", "reference": str(refund_id)}
        return _report(await self._post(f"/v1/payments/{provider_id}/refunds", key, body))

    async def find(self, provider_id: str) -> PaymentReport:
        return _report(await self._get(f"/v1/payments/{provider_id}"))

    def read_event(self, body: bytes) -> PaymentReport | None:
        try:
            event = _Event.model_validate_json(body)
            return _Payment.model_validate(event.data).report() if event.type.startswith("payment.") else None
        except ValidationError:
            # The error's own text quotes what was sent.
            raise ValueError("this is no event of the sandbox") from None

    async def ledger(self) -> AsyncIterator[PaymentReport]:
        query: dict[str, str | int] = {"limit": self._page_size}
        while page := _checked(_Page, await self._get("/v1/payments", query)).payments:
            for payment in page:
                yield payment.report()
            query["after"] = page[-1].id

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, path: str, key: str, body: Mapping[str, str]) -> httpx.Response:
        return await self._answer(self._client.build_request("POST", path, json=body, headers={"idempotency-key": key}))

    async def _get(self, path: str, params: Mapping[str, str | int] | None = None) -> httpx.Response:
        return await self._answer(self._client.build_request("GET", path, params=params))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        """What was answered, unless it was not, or that there is no answer now."""
        try:
            answer = await self._client.send(request)
        except httpx.TransportError as error:
            raise ProviderUnavailable(f"the sandbox does not answer: {type(error).__name__}") from None
        if answer.is_server_error or answer.status_code == _TOO_MANY:
            raise ProviderUnavailable(f"the sandbox answers {answer.status_code}")
        if answer.status_code in _KEY_REFUSED:
            raise ProviderKeyRefused
        return answer


def _report(answer: httpx.Response) -> PaymentReport:
    return _checked(_Payment, answer).report()


def _checked(kind: type[Kind], answer: httpx.Response) -> Kind:
    if not answer.is_success:
        raise ProviderMisunderstood(f"the sandbox answers {answer.status_code} {_parsed(_Error, answer).error.code}")
    return _parsed(kind, answer)


def _parsed(kind: type[Kind], answer: httpx.Response) -> Kind:
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError:
        raise ProviderMisunderstood(f"the sandbox's answer is no {kind.__name__.strip('_').lower()}") from None


def _own_id(reference: str) -> UUID | None:
    """An id of ours; None where the merchant's reference is none."""
    try:
        return UUID(reference)
    except ValueError:
        return None
