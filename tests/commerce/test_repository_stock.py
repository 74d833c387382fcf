"""What the stock repository promises: of absence, of order, of locks, and of the ledger and its balance."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from storage.commerce.records import Movement, NewMovement, Product, StockItem, StockLevel, StockReason
from storage.commerce.store import COMMERCE
from storage.database import Database
from tests.commerce.books import unlocked
from tests.commerce.values import SERVICE, kept, price, product, receipt
from tests.invariants import broken


async def moved(database: Database, *moves: NewMovement) -> None:
    async with database.store(COMMERCE).transaction() as tx:
        await tx.stock.lock_by_id({move.product_id for move in moves})
        await tx.stock.move(moves)


async def movements(
    database: Database, of: Product, *, before: int | None = None, limit: int = 100
) -> Sequence[Movement]:
    async with database.store(COMMERCE).reading() as tx:
        return await tx.stock.list_movements(of.id, before=before, limit=limit)


async def level(database: Database, sku: str) -> StockLevel | None:
    async with database.store(COMMERCE).reading() as tx:
        return await tx.stock.find_level(sku)


async def test_missing_stock_is_left_out(database: Database) -> None:
    """Neither finding, listing nor locking raises."""
    async with database.store(COMMERCE).transaction() as tx:
        assert await tx.stock.find_level("NONE") is None
        assert await tx.stock.list_movements(uuid4(), before=None, limit=10) == []
        assert await tx.stock.lock({"NONE"}) == {}
        assert await tx.stock.lock(set()) == {}
        assert await tx.stock.lock_by_id({uuid4()}) == {}
        assert await tx.stock.lock_by_id(set()) == {}


async def test_a_lock_returns_the_stock_items_that_exist(database: Database) -> None:
    """By SKU, whose case matters, and by id, with the product's price and stock."""
    upper = product("85123A", price=price("0.001", "EUR"), archived=True)
    lower = product("85123a")
    await kept(database, upper, lower)
    await moved(database, receipt(upper, 7))
    stock_item = StockItem(upper.id, "85123A", upper.price, archived=True, on_hand=7, held=0)
    async with database.store(COMMERCE).transaction() as tx:
        assert await tx.stock.lock({"85123A", "85123B"}) == {"85123A": stock_item}
        assert await tx.stock.lock_by_id({upper.id, uuid4()}) == {upper.id: stock_item}


async def test_a_lock_holds_until_the_transaction_ends(database: Database) -> None:
    """Exactly the requested stock rows, and never the products, whose readers must not wait."""
    products = [product(sku) for sku in "ABCD"]
    ids = {each.id for each in products}
    await kept(database, *products)
    async with database.store(COMMERCE).transaction() as tx:
        await tx.stock.lock({"A", "NONE"})
        await tx.stock.lock_by_id({products[1].id})
        assert await unlocked(database, "stock", "product_id") == ids - {products[0].id, products[1].id}
        assert await unlocked(database, "products") == ids
    assert await unlocked(database, "stock", "product_id") == ids


async def test_movements_are_stored_and_the_last_of_each_product_is_its_balance(database: Database) -> None:
    """Movements of several products arrive mixed; each product's ledger keeps its order."""
    a, b = product("A"), product("B")
    await kept(database, a, b)
    await moved(database, receipt(a, 5), receipt(b, 1), receipt(a, 3, before=5), receipt(b, 1, before=1))
    assert await level(database, "A") == StockLevel("A", 8, 0)
    assert await level(database, "B") == StockLevel("B", 2, 0)
    assert [each.on_hand_after for each in await movements(database, a)] == [8, 5]
    assert [each.on_hand_after for each in await movements(database, b)] == [2, 1]
    assert await broken(database) == {}


async def test_a_movement_is_read_as_it_was_stored(database: Database) -> None:
    """With every field, and its SKU."""
    a = product("A")
    await kept(database, a)
    received = receipt(a, 5, note="from Köln")
    held = replace(
        received, reason=StockReason.HELD, on_hand_delta=0, held_delta=5, held_after=5, order_id=uuid4(), note=""
    )
    await moved(database, received, held)
    for entered, found in zip([held, received], await movements(database, a), strict=True):
        known = {name: getattr(found, name) for name in Movement.__slots__ if name not in {"sequence", "sku"}}
        assert NewMovement(a.id, **known) == entered
        assert found.sku == "A"


async def test_an_empty_batch_moves_nothing(database: Database) -> None:
    """And is no error."""
    async with database.store(COMMERCE).transaction() as tx:
        await tx.stock.move([])
    assert await broken(database) == {}


async def test_a_ledger_is_listed_latest_first_and_continues_below_a_sequence(database: Database) -> None:
    """Pages meet without a gap or a repetition, and hold no other product's entries."""
    a, b = product("A"), product("B")
    await kept(database, a, b)
    for before in range(5):
        await moved(database, receipt(b, 1, before=before), receipt(a, 1, before=before))
    whole = await movements(database, a)
    assert [each.on_hand_after for each in whole] == [5, 4, 3, 2, 1]
    assert [each.sequence for each in whole] == sorted((each.sequence for each in whole), reverse=True)
    first = await movements(database, a, limit=2)
    second = await movements(database, a, limit=2, before=first[-1].sequence)
    third = await movements(database, a, limit=2, before=second[-1].sequence)
    assert [*first, *second, *third] == whole
    assert await movements(database, a, before=whole[-1].sequence) == []


@pytest.mark.parametrize(("on_hand", "held"), [(-1, 0), (1, 2), (1, -1)])
async def test_the_database_itself_refuses_an_impossible_level(database: Database, on_hand: int, held: int) -> None:
    """If a rule failed, nothing negative would be stored, and nothing else of the transaction."""
    a, b = product("A"), product("B")
    await kept(database, a, b)
    wrong = NewMovement(
        a.id, StockReason.CORRECTED, on_hand, held, on_hand, held, None, "", SERVICE.account_id, a.create_time
    )
    with pytest.raises(IntegrityError):
        await moved(database, receipt(b, 1), wrong)
    assert await level(database, "A") == StockLevel("A", 0, 0)
    assert await level(database, "B") == StockLevel("B", 0, 0)
    assert await movements(database, b) == []
