"""Stripe, by its official library: a payment is a PaymentIntent that is captured by hand."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Literal, TypeVar
from uuid import UUID

import httpx
import stripe
from pydantic import BaseModel, ValidationError
from stripe import RequestOptions, StripeClient, StripeObject, _util
from stripe._http_client import HTTPXClient
from stripe.params import PaymentIntentCreateParams, PaymentIntentListParams, RefundCreateParams, RefundListParams

from server.commerce.providers import stripe_wire as wire
from server.commerce.providers.minor_units import minor_units
from server.commerce.providers.port import (
    PaymentReport,
    ProviderKeyRefused,
    ProviderMisunderstood,
    ProviderUnavailable,
    RefundReport,
)
from storage.commerce.records import Price, RefundState

_PAGE = 100
_WHOLE = ["latest_charge.refunds"]
"""What to expand, so that an intent comes with its refunds."""
_STATE_FORBIDS = "payment_intent_unexpected_state"
_CAPTURABLE = frozenset({"requires_capture"})
_CANCELLABLE = frozenset({"requires_payment_method", "requires_confirmation", "requires_action", "requires_capture"})
_NOT_HELD = "the currency has no such amount"

Answer = TypeVar("Answer")
Kind = TypeVar("Kind", bound=BaseModel)


class _Refused(Exception):
    """Stripe understood, and will not."""

    def __init__(self, code: str, words: str, intent: wire.Intent | None) -> None:
        super().__init__(code)
        self.code = code
        self.words = words
        self.intent = intent


class StripeProvider:
    """Asks Stripe; an idempotency key is good for a day at least, and for one kind of call."""

    name: Literal["stripe"] = "stripe"

    def __init__(
        self, api_key: str, *, api_base: str = stripe.DEFAULT_API_BASE, timeout: float = 30.0, page_size: int = _PAGE
    ) -> None:
        """`timeout` in seconds: how long an answer may take before what came of the ask is unknown."""
        _keep_payloads_out_of_the_log()
        self._page_size = page_size
        self._http = HTTPXClient(timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)))
        client = StripeClient(
            api_key,
            http_client=self._http,
            base_addresses={"api": api_base},
            # Who asks tries again, under the same key, and knows when to give up.
            max_network_retries=0,
        )
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds

    def payable(self, amount: Price) -> bool:
        return minor_units(amount) is not None

    async def authorize(self, payment_id: UUID, amount: Price, method: str, key: str) -> PaymentReport:
        units = minor_units(amount)
        none = PaymentReport(payment_id, "", amount.currency)
        if units is None:
            return replace(none, failure=_NOT_HELD)
        params = _new_intent(payment_id, units, amount.currency, method)
        try:
            intent = await self._intent(self._intents.create_async(params, _under(key)))
        except _Refused as refused:
            if refused.intent is None:
                return replace(none, failure=refused.words)
            return refused.intent.report((), failure=refused.words)
        return intent.report(())

    async def capture(self, provider_id: str, amount: Price, key: str) -> PaymentReport:
        units = minor_units(amount)
        if units is None:  # then none of it was ever secured
            return replace(await self.find(provider_id), failure=_NOT_HELD)

        async def act(key: str) -> wire.Intent:
            asked = self._intents.capture_async(provider_id, {"amount_to_capture": units}, _under(key))
            return await self._intent(asked)

        try:
            return (await self._again(provider_id, act, key, _CAPTURABLE)).report(())
        except _Refused as refused:
            report = await self.find(provider_id)
            ended = report.captured or report.voided or report.failure
            return report if ended or refused.code == _STATE_FORBIDS else replace(report, failure=refused.words)

    async def void(self, provider_id: str, key: str) -> PaymentReport:
        async def act(key: str) -> wire.Intent:
            return await self._intent(self._intents.cancel_async(provider_id, options=_under(key)))

        try:
            return (await self._again(provider_id, act, key, _CANCELLABLE)).report(())
        except _Refused as refused:
            if refused.code != _STATE_FORBIDS:
                raise ProviderMisunderstood(f"stripe will not cancel: {refused.code}") from None
            return await self.find(provider_id)

    async def refund(self, provider_id: str, refund_id: UUID, amount: Price, key: str) -> PaymentReport:
        units = minor_units(amount)
        refused = units is None
        if units is not None:
            metadata = {wire.REFUND_ID: str(refund_id)}
            params: RefundCreateParams = {"payment_intent": provider_id, "amount": units, "metadata": metadata}
            try:
                await self._asked(self._refunds.create_async(params, _under(key)))
            except _Refused:
                refused = True
        report = await self.find(provider_id)
        if not refused or any(refund.refund_id == refund_id for refund in report.refunds):
            return report
        # Stripe keeps nothing of a refund that it refuses: our id stands in for its own, which must be one of a kind.
        failed = RefundReport(refund_id, str(refund_id), amount.amount, RefundState.FAILED)
        return replace(report, refunds=(*report.refunds, failed))

    async def find(self, provider_id: str) -> PaymentReport:
        try:
            return await self._whole(await self._retrieve(provider_id))
        except _Refused as refused:
            raise ProviderMisunderstood(f"stripe has no such payment: {refused.code}") from None

    def read_event(self, body: bytes) -> PaymentReport | None:
        try:
            return wire.read_event(body)
        except ValidationError:
            # The error's own text quotes what was sent.
            raise ValueError("this is no event of Stripe") from None

    async def ledger(self) -> AsyncIterator[PaymentReport]:
        params: PaymentIntentListParams = {"limit": self._page_size, "expand": [f"data.{each}" for each in _WHOLE]}
        while True:
            page = await self._asked(self._intents.list_async(params))
            for found in page.data:
                intent = _read(wire.Intent, found)
                yield await self._whole(intent)
            if not page.has_more:
                return
            params["starting_after"] = intent.id

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]  # the library leaves it untyped

    async def _again(
        self, provider_id: str, act: Callable[[str], Awaitable[wire.Intent]], key: str, states: Collection[str]
    ) -> wire.Intent:
        """Acts under the key; raises _Refused.

        Stripe remembers under a key that the intent's state forbade it. If the state is one of those that allow it by
        now, another key is due, which is safe: the intent itself is captured once, or cancelled once.
        """
        try:
            return await act(key)
        except _Refused as refused:
            if refused.code == _STATE_FORBIDS and (await self._retrieve(provider_id)).status in states:
                return await act(f"{key}/again")
            raise

    async def _retrieve(self, provider_id: str) -> wire.Intent:
        return await self._intent(self._intents.retrieve_async(provider_id, {"expand": _WHOLE}))

    async def _whole(self, intent: wire.Intent) -> PaymentReport:
        """An intent that came with its refunds, the first of them at least."""
        refunds = intent.refunds
        return intent.report(await self._all_refunds(intent.id) if refunds.has_more else refunds.data)

    async def _all_refunds(self, provider_id: str) -> Sequence[wire.Refund]:
        refunds: list[wire.Refund] = []
        params: RefundListParams = {"payment_intent": provider_id, "limit": self._page_size}
        while True:
            page = await self._asked(self._refunds.list_async(params))
            refunds += [_read(wire.Refund, found) for found in page.data]
            if not page.has_more:
                return refunds
            params["starting_after"] = refunds[-1].id

    async def _intent(self, call: Awaitable[StripeObject]) -> wire.Intent:
        return _read(wire.Intent, await self._asked(call))

    async def _asked(self, call: Awaitable[Answer]) -> Answer:
        """What Stripe answers; its errors carry payloads, and go no further than here.

        Raises ProviderUnavailable, ProviderMisunderstood, _Refused.
        """
        try:
            return await call
        except (stripe.AuthenticationError, stripe.PermissionError):
            raise ProviderKeyRefused from None
        except stripe.IdempotencyError:
            raise ProviderMisunderstood("stripe: this key came before with another ask") from None
        except stripe.CardError as error:
            raise _Refused(error.code or "", error.user_message or "", _enclosed(error)) from None
        except stripe.InvalidRequestError as error:
            # Its message is meant for us, and may quote what we sent.
            code = error.code or "invalid_request"
            raise _Refused(code, code, _enclosed(error)) from None
        except stripe.StripeError as error:
            raise ProviderUnavailable(f"stripe: {type(error).__name__} {error.http_status or ''}".rstrip()) from None


def _new_intent(payment_id: UUID, units: int, currency: str, method: str) -> PaymentIntentCreateParams:
    confirmed_by = wire.SERVER if method else wire.CUSTOMER
    params: PaymentIntentCreateParams = {
        "amount": units,
        "currency": currency.lower(),
        "capture_method": "manual",
        "metadata": {wire.PAYMENT_ID: str(payment_id), wire.CONFIRMED_BY: confirmed_by},
        "automatic_payment_methods": {"enabled": True},
    }
    if method:
        # A method that sends the customer elsewhere has no way back to us.
        params["automatic_payment_methods"] = {"enabled": True, "allow_redirects": "never"}
        params["payment_method"] = method
        params["confirm"] = True
    return params


def _under(key: str) -> RequestOptions:
    return {"idempotency_key": key}


def _enclosed(error: stripe.StripeError) -> wire.Intent | None:
    """The intent that an error came with."""
    body = error.json_body
    content = (
        body["error"].get("payment_intent") if isinstance(body, dict) and isinstance(body.get("error"), dict) else None
    )
    return None if content is None else _parsed(wire.Intent, content)


def _read(kind: type[Kind], content: StripeObject) -> Kind:
    return _parsed(kind, content.to_dict())


def _parsed(kind: type[Kind], content: object) -> Kind:
    try:
        return kind.model_validate(content)
    except ValidationError:
        raise ProviderMisunderstood(f"stripe's answer is no {kind.__name__.lower()}") from None


def _keep_payloads_out_of_the_log() -> None:
    """Whatever level the log has, and whatever STRIPE_LOG asks the library for."""
    logging.getLogger("stripe").setLevel(logging.WARNING)
    _util.STRIPE_LOG = None
