"""The order of deliveries: few per endpoint are in the queue, and those that hang delay no others."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import uuid4

from server.frame.editing import Edit
from server.webhooks.rules.endpoints import EndpointDraft
from server.webhooks.rules.scheduling import FAILING_AT_ONCE, SLOTS, next_deliveries
from storage.webhooks.records import Endpoint, EndpointState, ScheduledDelivery
from tests.webhooks.outgoing import CALLER, Outbox, answer, subscriber

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LONG = timedelta(minutes=1)
RANDOM = Random(7)  # noqa: S311 - not for secrets


def an_endpoint(*, failing_for: timedelta | None = None) -> Endpoint:
    endpoint = EndpointDraft("https://example.com", "", (), CALLER).as_endpoint(uuid4(), NOW)
    return replace(endpoint, failing_since=NOW - failing_for if failing_for is not None else None)


def due(endpoint: Endpoint, count: int) -> Sequence[ScheduledDelivery]:
    return [ScheduledDelivery(endpoint.id, uuid4()) for _ in range(count)]


def test_an_endpoint_has_a_few_deliveries_in_the_queue() -> None:
    """Queued ones count, are not queued twice, and the first due come first."""
    endpoint = an_endpoint()
    waiting = due(endpoint, SLOTS)
    assert next_deliveries([endpoint], waiting, [], NOW, RANDOM.random) == waiting
    assert next_deliveries([endpoint], waiting, waiting[:1], NOW, RANDOM.random) == waiting[1:]
    assert next_deliveries([endpoint], waiting, due(endpoint, SLOTS - 1), NOW, RANDOM.random) == waiting[:1]
    assert next_deliveries([endpoint], waiting, due(endpoint, SLOTS + 1), NOW, RANDOM.random) == []


def test_an_endpoint_that_has_failed_for_a_while_has_one() -> None:
    """A single recent failure does not count."""
    failing, faltering = an_endpoint(failing_for=LONG), an_endpoint(failing_for=timedelta(seconds=1))
    waiting = [*due(failing, SLOTS), *due(faltering, SLOTS)]
    given = next_deliveries([failing, faltering], waiting, [], NOW, RANDOM.random)
    assert Counter(turn.endpoint_id for turn in given) == {failing.id: 1, faltering.id: SLOTS}
    assert next_deliveries([failing], due(failing, 1), due(failing, 1), NOW, RANDOM.random) == []


def test_failing_endpoints_share_part_of_the_capacity() -> None:
    """The next of them is chosen at random, so that none is always last; others do not wait for them."""
    failing = [an_endpoint(failing_for=LONG) for _ in range(2 * FAILING_AT_ONCE)]
    healthy = an_endpoint()
    waiting = [turn for endpoint in (*failing, healthy) for turn in due(endpoint, 1)]
    queued = due(failing[0], 1)
    first, second = ({*next_deliveries([*failing, healthy], waiting, queued, NOW, RANDOM.random)} for _ in range(2))
    assert len(first) == len(second) == FAILING_AT_ONCE - 1 + 1
    assert waiting[-1] in first & second
    assert first != second


async def test_an_attempt_is_followed_by_the_endpoints_next_delivery(outbox: Outbox) -> None:
    """As it ends, the next delivery takes its place in the queue, oldest first."""
    async with subscriber() as shop:
        endpoint = await outbox.endpoint(shop.url)
        events = [(await outbox.test_event(endpoint)).id for _ in range(SLOTS + 2)]
        await outbox.turns.schedule()
        assert await outbox.due() == events[:SLOTS]
        await outbox.turns.schedule()
        assert await outbox.due() == events[:SLOTS]
        for place in range(SLOTS + 2):
            await outbox.deliveries.attempt(events[place])
            assert await outbox.due() == events[: SLOTS + place + 1]


async def test_a_failing_endpoint_gets_one_delivery_at_a_time(outbox: Outbox) -> None:
    """Until it succeeds; no next one is queued at the end of an attempt."""
    async with subscriber(*[answer(500)] * 4, answer(200)) as shop:
        endpoint = await outbox.endpoint(shop.url)
        first, *others, last = [(await outbox.test_event(endpoint)).id for _ in range(SLOTS + 2)]
        await outbox.deliveries.attempt(first)
        assert await outbox.due() == others
        outbox.moves(seconds=11)
        for event in others:
            await outbox.deliveries.attempt(event)
        assert await outbox.due() == others
        for _ in range(2):
            await outbox.turns.schedule()
            assert await outbox.due() == [*others, last]
        await outbox.deliveries.attempt(last)
        assert (await outbox.endpoint_now(endpoint)).failing_since is None
        assert await outbox.due() == [*others, last, first]


async def test_a_delivery_that_is_not_due_is_not_queued(outbox: Outbox) -> None:
    """Neither before its time nor while its endpoint is disabled; enabling does not resume it."""
    async with subscriber(answer(500)) as shop:
        endpoint, disabled = await outbox.endpoint(shop.url), await outbox.endpoint(shop.url)
        delivery = await outbox.attempt(await outbox.test_event(endpoint))
        await outbox.test_event(disabled)
        for state in (EndpointState.DISABLED, EndpointState.ENABLED):
            await outbox.endpoints.edit(Edit(disabled.id, "", {"state": state}), CALLER, outbox.ask)
            await outbox.turns.schedule()
            assert await outbox.due() == []
        outbox.moves(seconds=5)
        await outbox.turns.schedule()
        assert await outbox.due() == [delivery.id]
