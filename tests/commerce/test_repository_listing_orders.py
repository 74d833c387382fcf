"""Listing orders: with every filter, the pages equal a list computed by the test."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import product as combinations
from uuid import UUID

import pytest

from storage.commerce.records import Order, OrderFilter, OrderState
from storage.commerce.store import COMMERCE
from storage.database import Database
from tests.commerce.values import NOW, kept, order, product

STATES = (OrderState.PENDING, OrderState.CANCELLED, OrderState.PAID)
CUSTOMERS = ("17850", "13047")


def times(*hours: float) -> Iterator[OrderFilter]:
    for start, end in combinations((None, *hours), repeat=2):
        yield OrderFilter(
            start_time=None if start is None else NOW + timedelta(hours=start),
            end_time=None if end is None else NOW + timedelta(hours=end),
        )


FILTERS = [
    OrderFilter(state, customer, each.start_time, each.end_time)
    for state in (None, OrderState.PENDING, OrderState.CANCELLED, OrderState.REFUNDED)
    for customer in (None, "17850", "nobody")
    for each in times(1, 2.5)
]


async def shop(database: Database) -> list[Order]:
    """24 orders at four times, in each of three states and of two customers, with ids against the order of time."""
    await kept(database, a := product("A"))
    made = [
        order((a, 1), id=UUID(int=1000 - 7 * n), state=state, customer_id=customer, create_time=time, update_time=time)
        for n, (hour, state, customer) in enumerate(combinations(range(4), STATES, CUSTOMERS))
        if (time := NOW + timedelta(hours=hour))
    ]
    async with database.store(COMMERCE).transaction() as tx:
        await tx.orders.add(made)
    return made


def by_hand(orders: Sequence[Order], wanted: OrderFilter) -> list[UUID]:
    found = [
        each
        for each in orders
        if wanted.state in (None, each.state)
        and wanted.customer_id in (None, each.customer_id)
        and (wanted.start_time is None or wanted.start_time <= each.create_time)
        and (wanted.end_time is None or each.create_time < wanted.end_time)
    ]
    return [each.id for each in sorted(found, key=lambda each: (each.create_time, each.id), reverse=True)]


async def walked(database: Database, wanted: OrderFilter, limit: int) -> list[UUID]:
    """The ids of a list, read in pages of this size."""
    ids: list[UUID] = []
    before = None
    async with database.store(COMMERCE).reading() as tx:
        while page := await tx.orders.list_latest(wanted, before=before, limit=limit):
            ids += [each.id for each in page]
            before = (page[-1].create_time, page[-1].id)
    return ids


@pytest.mark.parametrize("limit", [1, 5, 100])
async def test_pages_of_a_filtered_list_hold_each_order_once_latest_first(database: Database, limit: int) -> None:
    """By state, customer, time and all of them together, with many orders at one time."""
    orders = await shop(database)
    for wanted in FILTERS:
        assert await walked(database, wanted, limit) == by_hand(orders, wanted), wanted


async def test_a_listed_order_comes_without_its_lines(database: Database) -> None:
    """It has their number instead."""
    orders = await shop(database)
    async with database.store(COMMERCE).reading() as tx:
        [latest] = await tx.orders.list_latest(OrderFilter(), before=None, limit=1)
    assert latest.lines == ()
    assert (latest.line_count, latest.unit_count) == (1, 1)
    assert latest.id in {each.id for each in orders}


async def test_an_order_placed_meanwhile_does_not_shift_the_pages(database: Database) -> None:
    """The key marks where to continue, so nothing is listed twice or left out."""
    orders = await shop(database)
    newest = replace(orders[0], id=UUID(int=1), create_time=NOW + timedelta(days=1))
    async with database.store(COMMERCE).transaction() as tx:
        first = await tx.orders.list_latest(OrderFilter(), before=None, limit=10)
        await tx.orders.add([newest])
        rest = await tx.orders.list_latest(OrderFilter(), before=(first[-1].create_time, first[-1].id), limit=100)
    assert [each.id for each in (*first, *rest)] == by_hand(orders, OrderFilter())
