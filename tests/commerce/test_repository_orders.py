"""What the order repository guarantees about missing rows, references, lines and locks."""

from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import text

from storage.commerce.records import Order, OrderState, Product
from storage.commerce.store import COMMERCE
from storage.database import Database
from storage.errors import AlreadyExists
from tests.commerce.books import count, unlocked
from tests.commerce.values import CUSTOMER, LATER, STAFF, kept, order, price, product

ME, OTHER = CUSTOMER.account_id, STAFF.account_id


async def goods(database: Database) -> tuple[Product, Product]:
    both = product("A", price=price("0.001")), product("B")
    await kept(database, *both)
    return both


async def added(database: Database, *orders: Order) -> None:
    async with database.store(COMMERCE).transaction() as tx:
        await tx.orders.add(orders)


async def test_an_order_is_read_as_it_was_stored(database: Database) -> None:
    """With its lines in order, one product more than once."""
    a, b = await goods(database)
    given = order((b, 3), (a, 1000), (b, 1), reference="R-1", customer_id="17850", cancel_reason="ä")
    await added(database, given)
    async with database.store(COMMERCE).transaction() as tx:
        assert await tx.orders.find(given.id) == given
        assert await tx.orders.lock(given.id) == given


async def test_many_orders_with_many_lines_are_added_at_once(database: Database) -> None:
    """Each gets its own lines back, in whatever order they were given."""
    a, b = await goods(database)
    given = [order(*[(b, n + 1), (a, n + 2)] * n, reference=f"R{9 - n}", placed_by=ME) for n in range(1, 9)]
    await added(database, *given)
    async with database.store(COMMERCE).reading() as tx:
        assert await tx.orders.find_many([each.id for each in given]) == {each.id: each for each in given}


async def test_missing_rows_are_none_or_left_out(database: Database) -> None:
    """Finding, locking and listing do not raise, and adding nothing is no error."""
    a, _ = await goods(database)
    there = order((a, 1))
    await added(database)
    await added(database, there)
    async with database.store(COMMERCE).transaction() as tx:
        assert await tx.orders.find(uuid4()) is None
        assert await tx.orders.lock(uuid4()) is None
        assert await tx.orders.find_many([uuid4(), there.id]) == {there.id: there}
        assert await tx.orders.find_many([]) == {}


async def test_a_product_keeps_its_old_price_in_an_order(database: Database) -> None:
    """A line has the price at which it was placed, and the product's SKU."""
    a, _ = await goods(database)
    given = order((a, 2))
    await added(database, given)
    async with database.store(COMMERCE).transaction() as tx:
        await tx.products.change([replace(a, price=price("9"), version=2)])
        assert await tx.orders.find(given.id) == given


async def test_the_largest_amounts_are_stored_to_the_last_digit(database: Database) -> None:
    """A total of nineteen digits before the decimal point, and a price of nine decimals."""
    await kept(database, dear := product("DEAR", price=price("999999999.123456789")))
    given = order(*[(dear, 10**6)] * 2000)
    assert given.total == price("1999999998246913578")
    await added(database, given)
    async with database.store(COMMERCE).reading() as tx:
        assert await tx.orders.find(given.id) == given


async def test_a_reference_is_found_with_the_order_that_has_it(database: Database) -> None:
    """Only the requested ones, and only those of the caller who placed them."""
    a, _ = await goods(database)
    mine, theirs = order((a, 1), reference="R"), order((a, 1), reference="R", placed_by=OTHER)
    await added(database, mine, theirs, order((a, 1), reference="S"), order((a, 1)))
    async with database.store(COMMERCE).reading() as tx:
        asked = {(ME, "R"), (OTHER, "S"), (ME, "r"), (ME, "NONE")}
        assert await tx.orders.find_references(asked) == {(ME, "R"): mine.id}
        assert await tx.orders.find_references({(OTHER, "R")}) == {(OTHER, "R"): theirs.id}
        assert await tx.orders.find_references(set()) == {}


async def test_a_taken_reference_refuses_the_whole_transaction(database: Database) -> None:
    """The error names the key, and nothing else that was added remains."""
    a, _ = await goods(database)
    first = order((a, 1), reference="R")
    await added(database, first)
    with pytest.raises(AlreadyExists) as refused:
        await added(database, order((a, 1), reference="FREE"), order((a, 1), reference="R"))
    assert refused.value.constraint == "uq_orders_placed_by_reference"
    assert await count(database, "orders") == await count(database, "order_lines") == 1


async def test_orders_without_a_reference_do_not_conflict(database: Database) -> None:
    """No reference is not a reference."""
    a, _ = await goods(database)
    await added(database, order((a, 1)), order((a, 1)), order((a, 1)))
    assert await count(database, "orders") == 3


async def test_a_change_stores_the_new_state_and_nothing_else(database: Database) -> None:
    """Lines, totals and the other orders stay as they are."""
    a, b = await goods(database)
    before, neighbor = order((a, 1), (b, 2)), order((a, 1))
    await added(database, before, neighbor)
    changed = replace(before, state=OrderState.CANCELLED, cancel_reason="why", update_time=LATER)
    async with database.store(COMMERCE).transaction() as tx:
        await tx.orders.lock(before.id)
        await tx.orders.change([replace(changed, total=price("1"), lines=(), customer_id="17850", reference="R")])
    async with database.store(COMMERCE).reading() as tx:
        assert await tx.orders.find(before.id) == changed
        assert await tx.orders.find(neighbor.id) == neighbor


async def test_a_lock_holds_until_the_transaction_ends(database: Database) -> None:
    """On exactly the requested order."""
    a, _ = await goods(database)
    one, two = order((a, 1)), order((a, 1))
    await added(database, one, two)
    async with database.store(COMMERCE).transaction() as tx:
        await tx.orders.lock(one.id)
        assert await unlocked(database, "orders") == {two.id}
    assert await unlocked(database, "orders") == {one.id, two.id}


async def test_an_edit_under_way_does_not_block_orders(database: Database) -> None:
    """A product that is locked for an edit can be ordered meanwhile: no order waits for a slow import."""
    a, b = await goods(database)
    given = order((b, 1), (a, 1))
    async with database.store(COMMERCE).transaction() as editing:
        await editing.products.lock(a.id)
        await editing.products.lock_by_sku(["B"])
        async with database.store(COMMERCE).transaction() as tx:
            await tx._connection.execute(text("SET LOCAL lock_timeout = '1s'"))
            await tx.orders.add([given])
    async with database.store(COMMERCE).reading() as tx:
        assert await tx.orders.find(given.id) == given
