"""What becomes of a delivery, and of its endpoint, after an attempt."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from server.frame.editing import changed
from server.webhooks.rules.answers import Answer
from storage.webhooks.records import Delivery, DeliveryState, Endpoint, EndpointState

SCHEDULE = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""How long to wait before each attempt, as Standard Webhooks proposes; after the last one it is given up."""
DISABLED_AFTER = timedelta(days=5)
"""An endpoint all of whose attempts have failed for so long is not sent to any more."""
GIVEN_UP = "endpoint disabled"
"""The error of a delivery that was still to be attempted when its endpoint was disabled."""

_JITTER = 0.2
_GONE = 410
_WAIT = (429, 503)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt: of which delivery as it was then, when it began, and what came of it."""

    delivery: Delivery
    begin_time: datetime
    answer: Answer


def is_due(delivery: Delivery, now: datetime) -> bool:
    return delivery.next_attempt_time is not None and delivery.next_attempt_time <= now


def counts(attempt: Attempt, delivery: Delivery) -> bool:
    """Whether an attempt is to be stored; not where another one of the same number was."""
    return delivery.attempt_count == attempt.delivery.attempt_count


def endpoint_after(attempt: Attempt, endpoint: Endpoint, now: datetime) -> Endpoint:
    """The endpoint, which a success frees from its past, and which days of failures, or one 410, disable."""
    answer = attempt.answer
    if not endpoint.enabled:
        return endpoint
    if answer.succeeded:
        return changed(endpoint, {"failing_since": None}, now)
    since = endpoint.failing_since or attempt.begin_time
    if answer.status == _GONE:
        why = "it answered HTTP 410, which says that it is gone"
    elif now - since >= DISABLED_AFTER:
        began = since.astimezone(UTC).isoformat(timespec="seconds")
        why = f"all attempts have failed since {began}, the last one with: {answer.failure}"
    else:
        return changed(endpoint, {"failing_since": since}, now)
    values = {"failing_since": since, "state": EndpointState.DISABLED, "disabled_reason": why}
    return changed(endpoint, values, now)


def delivery_after(attempt: Attempt, delivery: Delivery, endpoint: Endpoint, now: datetime, jitter: float) -> Delivery:
    """The delivery, given its endpoint after the attempt; `jitter` is between 0 and 1."""
    next_time = _next_time(attempt, delivery, endpoint, now, jitter)
    state = DeliveryState.SUCCEEDED if attempt.answer.succeeded else DeliveryState.FAILED
    return replace(
        delivery,
        state=state if next_time is None else DeliveryState.PENDING,
        attempt_count=delivery.attempt_count + 1,
        next_attempt_time=next_time,
        last_attempt_time=attempt.begin_time,
        response_status=attempt.answer.status,
        error=attempt.answer.failure,
    )


def withheld(delivery: Delivery, why: str) -> Delivery:
    """The delivery, given up without an attempt."""
    return replace(delivery, state=DeliveryState.FAILED, next_attempt_time=None, error=why)


def _next_time(
    attempt: Attempt, delivery: Delivery, endpoint: Endpoint, now: datetime, jitter: float
) -> datetime | None:
    made = delivery.attempt_count + 1
    if not endpoint.enabled:
        return None
    if delivery.next_attempt_time != attempt.delivery.next_attempt_time:
        return delivery.next_attempt_time  # somebody wants it sent again, whatever came of this attempt
    if attempt.answer.succeeded or made >= len(SCHEDULE):
        return None
    wait = SCHEDULE[made] * (1 - _JITTER + 2 * _JITTER * jitter)
    return now + max(wait, _asked_for(attempt.answer, now))


def _asked_for(answer: Answer, now: datetime) -> timedelta:
    """How long the endpoint wants us to wait, where it says that it is too busy."""
    return answer.wait_after(now) if answer.status in _WAIT else timedelta(0)
