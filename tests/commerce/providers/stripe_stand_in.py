"""A small server with Stripe's API, for the calls that the adapter makes.

It follows Stripe's public reference, and knows a few cards by the tokens that Stripe's test mode has for them.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.process.http.listener import Listener

KEY = "sk_test_of_the_tests"
DECLINED = {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}
Json = dict[str, Any]


class Refused(Exception):
    """An error as Stripe returns it."""

    def __init__(self, status: int, **error: Any) -> None:
        super().__init__(status)
        self.status = status
        self.error = error


def state_forbids() -> Refused:
    return Refused(400, type="invalid_request_error", code="payment_intent_unexpected_state", message="Not now.")


@dataclass
class StandIn:
    """Its payments, and the requests that it received."""

    url: str = ""
    intents: dict[str, Json] = field(default_factory=dict)
    refunds: dict[str, Json] = field(default_factory=dict)
    seen: list[tuple[str, str, Json]] = field(default_factory=list)
    """Method, path and parameters of each request."""
    answered: dict[str, tuple[Json, int, Json]] = field(default_factory=dict)
    """By idempotency key: the parameters, the status and the answer."""
    failing: int | None = None
    """A status for every response."""
    refund_status: str = "succeeded"
    embedded: int = 10
    """How many refunds are expanded into a charge."""

    def begin_again(self) -> None:
        """Resets it to its initial state."""
        for kept in (self.intents, self.refunds, self.seen, self.answered):
            kept.clear()
        self.failing, self.refund_status, self.embedded = None, "succeeded", 10

    def confirm(self, intent: Json, method: str = "pm_card_visa") -> None:
        """The customer's confirmation in the browser, or a confirmation at creation."""
        if method == "pm_card_visa_chargeDeclined":
            intent.update(status="requires_payment_method", last_payment_error=DECLINED)
        elif method == "pm_card_authenticationRequired":
            intent["status"] = "requires_action"
        else:
            intent.update(status="requires_capture", amount_capturable=intent["amount"])

    def whole(self, intent: Json) -> Json:
        """With its charge and the charge's refunds expanded, the latest first."""
        refunds = [each for each in reversed(self.refunds.values()) if each["payment_intent"] == intent["id"]]
        listed = {"object": "list", "data": refunds[: self.embedded], "has_more": len(refunds) > self.embedded}
        charge = {"id": "ch_1", "currency": intent["currency"], "payment_intent": intent["id"], "refunds": listed}
        return {**intent, "latest_charge": charge}

    async def answer(self, request: Request, act: Callable[[Json], Json]) -> Response:
        if self.failing:
            return JSONResponse({"error": {"type": "api_error", "message": "Not now."}}, self.failing)
        body = (await request.body()).decode()
        params = _nested(parse_qsl(body if request.method == "POST" else request.url.query, keep_blank_values=True))
        self.seen.append((request.method, request.url.path, params))
        if request.headers["authorization"] != f"Bearer {KEY}":
            return JSONResponse({"error": {"type": "invalid_request_error", "message": "Invalid API Key"}}, 401)
        try:
            return JSONResponse(act(params) if request.method == "GET" else self._once(request, params, act))
        except Refused as refused:
            return JSONResponse({"error": refused.error}, refused.status)

    def _once(self, request: Request, params: Json, act: Callable[[Json], Json]) -> Json:
        """Returns the first response again under one key, even an error; refuses other parameters under it."""
        key = request.headers["idempotency-key"]
        if key not in self.answered:
            try:
                self.answered[key] = (params, 200, act(params))
            except Refused as refused:
                self.answered[key] = (params, refused.status, refused.error)
        first, status, answer = self.answered[key]
        if first != params:
            raise Refused(400, type="idempotency_error", message="Keys can only be used with the same parameters")
        if status != 200:
            raise Refused(status, **answer)
        return answer

    def create_intent(self, params: Json) -> Json:
        if (method := params.get("payment_method")) == "pm_unknown":
            message = f"No such PaymentMethod: '{method}'"
            raise Refused(400, type="invalid_request_error", code="resource_missing", message=message)
        number = len(self.intents) + 1
        intent = {
            "id": f"pi_{number}",
            "object": "payment_intent",
            "amount": int(params["amount"]),
            "amount_capturable": 0,
            "amount_received": 0,
            "currency": params["currency"],
            "status": "requires_payment_method",
            "metadata": params["metadata"],
            "client_secret": f"pi_{number}_secret",
            "last_payment_error": None,
            "latest_charge": None,
        }
        self.intents[f"pi_{number}"] = intent
        if params.get("confirm") == "true":
            self.confirm(intent, params["payment_method"])
            if intent["last_payment_error"]:
                raise Refused(402, **DECLINED, payment_intent=dict(intent))
        return dict(intent)

    def capture(self, intent: Json, params: Json) -> Json:
        if intent["status"] != "requires_capture":
            raise state_forbids()
        if intent["amount"] == 402:
            raise Refused(402, **DECLINED, payment_intent=dict(intent))
        intent.update(status="succeeded", amount_capturable=0, amount_received=int(params["amount_to_capture"]))
        return dict(intent)

    def cancel(self, intent: Json) -> Json:
        if intent["status"] in ("succeeded", "canceled", "processing"):
            raise state_forbids()
        intent.update(status="canceled", amount_capturable=0)
        return dict(intent)

    def create_refund(self, params: Json) -> Json:
        intent = self.intents[params["payment_intent"]]
        back = sum(each["amount"] for each in self.refunds.values() if each["payment_intent"] == intent["id"])
        if back + int(params["amount"]) > intent["amount_received"]:
            raise Refused(400, type="invalid_request_error", code="charge_already_refunded", message="Too much.")
        refund = {
            "id": f"re_{len(self.refunds) + 1}",
            "object": "refund",
            "amount": int(params["amount"]),
            "currency": intent["currency"],
            "payment_intent": intent["id"],
            "status": self.refund_status,
            "metadata": params["metadata"],
        }
        self.refunds[refund["id"]] = refund
        return dict(refund)

    def find(self, intent_id: str) -> Json:
        if intent_id not in self.intents:
            raise Refused(404, type="invalid_request_error", code="resource_missing", message="No such payment_intent")
        return self.intents[intent_id]


def _nested(pairs: list[tuple[str, str]]) -> Json:
    """Stripe's form encoding: a[b]=c is an object in an object."""
    params: Json = {}
    for name, value in pairs:
        outer, _, inner = name.partition("[")
        if inner:
            params.setdefault(outer, {})[inner.rstrip("]")] = value
        else:
            params[outer] = value
    return params


def _page(found: list[Json], params: Json) -> Json:
    """A page, the latest first."""
    ids = [each["id"] for each in found]
    start = ids.index(params["starting_after"]) + 1 if "starting_after" in params else 0
    end = start + int(params["limit"])
    return {"object": "list", "data": found[start:end], "has_more": end < len(found), "url": "/"}


def _app(stand_in: StandIn) -> Starlette:
    def route(method: str, path: str, act: Callable[[Request, Json], Json]) -> Route:
        async def endpoint(request: Request) -> Response:
            return await stand_in.answer(request, lambda params: act(request, params))

        return Route(f"/v1/{path}", endpoint, methods=[method])

    def intent(request: Request) -> Json:
        return stand_in.find(request.path_params["id"])

    def refunds(params: Json) -> list[Json]:
        found = reversed(stand_in.refunds.values())
        return [each for each in found if each["payment_intent"] == params["payment_intent"]]

    def intents() -> list[Json]:
        return [stand_in.whole(each) for each in reversed(stand_in.intents.values())]

    one = "payment_intents/{id}"
    routes = [
        route("POST", "payment_intents", lambda _, params: stand_in.create_intent(params)),
        route("GET", "payment_intents", lambda _, params: _page(intents(), params)),
        route("GET", one, lambda request, _: stand_in.whole(intent(request))),
        route("POST", f"{one}/capture", lambda request, params: stand_in.capture(intent(request), params)),
        route("POST", f"{one}/cancel", lambda request, _: stand_in.cancel(intent(request))),
        route("POST", "refunds", lambda _, params: stand_in.create_refund(params)),
        route("GET", "refunds", lambda _, params: _page(refunds(params), params)),
    ]
    return Starlette(routes=routes)


@asynccontextmanager
async def standing_in() -> AsyncIterator[StandIn]:
    stand_in = StandIn()
    listener = Listener(_app(stand_in), "127.0.0.1", 0)
    stand_in.url = f"http://127.0.0.1:{listener.port}"
    listener.start()
    yield stand_in
    await listener.stop()
