"""What was requested and answered: each request by its number, with each of its attempts."""

import enum
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc

from backroom_client import Refusal, refusal_of


class Outcome(enum.Enum):
    """What a caller knows after an attempt."""

    OK = "ok"
    FAIL = "fail"
    """It was not done: a refusal with a reason of the contract."""
    LATER = "later"
    """It was not done, and may be retried: a temporary refusal."""
    UNKNOWN = "unknown"
    """It may have been done."""


class Kind(enum.Enum):
    """The kind of request."""

    ORDER = "order"
    STREAM = "stream"
    """Several orders at once, each a request of its own."""
    CANCEL = "cancel"
    ADJUST = "adjust"
    PRODUCT = "product"
    PAYMENT = "payment"
    REFUND = "refund"
    REGISTER = "register"
    ENDPOINT = "endpoint"
    READ = "read"
    """Changes nothing."""


_MAY_HAVE_HAPPENED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.ABORTED,
}


@dataclass(frozen=True)
class Attempt:
    """One call; times are of `time.monotonic`."""

    server: int
    began: float
    ended: float
    outcome: Outcome
    text: str
    """The code and the reason if it did not succeed."""


@dataclass
class Ask:
    """One change that a caller wants, once, however often it requests it."""

    number: int
    """Unique in the book, and sent to the server in a field that it stores: the checker finds the effect by it."""
    kind: Kind
    subject: str = ""
    """What the request is about: an order's or a payment's id."""
    request_id: str = field(default_factory=lambda: str(uuid4()))
    answer: str = ""
    """The id of the result, once it was acknowledged."""
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome:
        outcomes = {attempt.outcome for attempt in self.attempts}
        settled = (Outcome.OK, Outcome.FAIL, Outcome.UNKNOWN, Outcome.LATER)
        return next((outcome for outcome in settled if outcome in outcomes), Outcome.UNKNOWN)

    @property
    def note(self) -> str:
        """The request's number as it is written where a text is stored."""
        return f"ask {self.number}"


class Book:
    """All requests of one round."""

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        self._numbers = itertools.count(1)

    def open(self, kind: Kind, subject: str = "") -> Ask:
        ask = Ask(next(self._numbers), kind, subject)
        self.asks.append(ask)
        return ask

    def acknowledged(self, *kinds: Kind) -> Iterator[Ask]:
        wanted = kinds or tuple(Kind)
        return (ask for ask in self.asks if ask.kind in wanted and ask.outcome is Outcome.OK)

    @property
    def acknowledged_count(self) -> int:
        return sum(1 for _ in self.acknowledged())

    @property
    def unknown(self) -> list[Ask]:
        return [ask for ask in self.asks if ask.outcome is Outcome.UNKNOWN]

    def first_ok(self, server: int, after: float) -> float | None:
        """When a server first acknowledged an order after a moment."""
        ended = (
            attempt.ended
            for ask in self.acknowledged(Kind.ORDER)
            for attempt in ask.attempts
            if attempt.server == server and attempt.outcome is Outcome.OK and attempt.ended > after
        )
        return min(ended, default=None)


def judged(error: grpc.RpcError) -> tuple[Outcome, str]:
    """What a caller knows after this error, and the error's text."""
    refusal = refusal_of(error)
    code: Any = error.code()
    reason = refusal.reason if refusal else str(error.details())[:80]
    return judged_refusal(refusal, code), f"{code.name} / {reason}"


def judged_refusal(refusal: Refusal | None, code: grpc.StatusCode) -> Outcome:
    """What a caller knows after such a status; `refusal` is None if it is not Backroom's own."""
    if refusal is None or code in _MAY_HAVE_HAPPENED:
        return Outcome.UNKNOWN
    return Outcome.LATER if code is grpc.StatusCode.RESOURCE_EXHAUSTED else Outcome.FAIL
