"""The order lines that the demo counts as events, against the real server."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from replay.calling import NotShown
from replay.counting import count_day
from replay.dataset import first_day
from storage.database import Database
from tests.fixtures.servers import quick_passwords, running
from tests.replay.test_rollout import signed_in

ORDERS = first_day().orders
LINES, REVENUE = 3081, Decimal("58960.79")


async def test_each_order_line_is_counted_once_to_the_penny(database: Database) -> None:
    """At its hour of yesterday; a second run on the same day stores nothing, and counts the same."""
    today = datetime.now(UTC).date()
    async with running(database, passwords=quick_passwords()) as server, signed_in(server, "service") as (client, _):
        first = await count_day(client, ORDERS, today)
        second = await count_day(client, ORDERS, today)
    assert (first.sent, first.stored, first.known, first.counted) == (LINES, LINES, 0, LINES)
    assert (second.sent, second.stored, second.known, second.counted) == (LINES, 0, LINES, LINES)
    assert first.revenue == first.expected == second.revenue == REVENUE
    assert first.complete
    assert second.complete
    hours = {point.start_time.ToDatetime(UTC).hour: Decimal(point.values[0]) for point in first.by_hour.points}
    assert len(hours) == 24
    for hour, revenue in hours.items():
        assert revenue == sum(
            line.quantity * line.unit_price for order in ORDERS if order.time.hour == hour for line in order.lines
        )


async def test_another_day_is_counted_by_itself(database: Database) -> None:
    """The same lines are other events on the next day."""
    today = datetime.now(UTC).date()
    async with running(database, passwords=quick_passwords()) as server, signed_in(server, "service") as (client, _):
        await count_day(client, ORDERS[:10], today - timedelta(days=1))
        day = await count_day(client, ORDERS[:10], today)
    assert day.complete
    assert day.stored == day.sent


async def test_where_the_account_may_not_send_it_is_said(database: Database) -> None:
    """The permission that is missing; the replay before it counts all the same."""
    async with running(database, passwords=quick_passwords()) as server, signed_in(server, "customer") as (client, _):
        with pytest.raises(NotShown, match=r"PERMISSION_MISSING: .*events\.ingest"):
            await count_day(client, ORDERS[:1], datetime.now(UTC).date())
