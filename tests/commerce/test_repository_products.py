"""What the product repository guarantees about missing rows, duplicates, order and locks."""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

from storage.commerce.records import Product, StockLevel
from storage.commerce.store import COMMERCE
from storage.database import Database
from tests.commerce.books import unlocked
from tests.commerce.values import LATER, kept, price, product

SKUS = ["10", "9", "85123A", "85123a", "a", "B", "_", "~", "!", "a b", "a!"]


async def listed(database: Database, *, after: str | None = None, limit: int = 100, archived: bool = True) -> list[str]:
    async with database.store(COMMERCE).reading() as tx:
        return [
            each.sku for each in await tx.products.list_by_sku(after=after, limit=limit, archived=archived, size=2**20)
        ]


async def found(database: Database, sku: str) -> Product | None:
    async with database.store(COMMERCE).reading() as tx:
        return await tx.products.find_by_sku(sku)


async def test_a_product_is_read_as_it_was_stored(database: Database) -> None:
    """By its id and by its SKU, to the ninth decimal and the microsecond."""
    given = product("A", description="ä\n" * 5000, price=price("999999999.999999999", "EUR"), archived=True)
    await kept(database, given)
    async with database.store(COMMERCE).reading() as tx:
        assert (await tx.products.find_many([given.id])).get(given.id) == given
        assert await tx.products.find_by_sku("A") == given


async def test_a_missing_product_is_none(database: Database) -> None:
    """Neither finding nor locking raises."""
    async with database.store(COMMERCE).transaction() as tx:
        assert await tx.products.find_many([uuid4()]) == {}
        assert await tx.products.find_by_sku("NONE") is None
        assert await tx.products.lock(uuid4()) is None
        assert await tx.products.lock_by_sku(["NONE"]) == {}
        assert await tx.products.lock_by_sku([]) == {}


async def test_skus_that_differ_in_case_are_two_products(database: Database) -> None:
    """The real data holds 85123A and 85123a."""
    upper, lower = product("85123A"), product("85123a")
    await kept(database, upper, lower)
    assert await found(database, "85123A") == upper
    assert await found(database, "85123a") == lower
    async with database.store(COMMERCE).transaction() as tx:
        assert await tx.products.lock_by_sku(["85123a"]) == {"85123a": lower}


async def test_a_product_whose_sku_is_taken_is_not_added(database: Database) -> None:
    """The others are added, and the existing one does not change."""
    first, free = product("A"), product("B")
    await kept(database, first)
    async with database.store(COMMERCE).transaction() as tx:
        assert await tx.products.add([product("A", name="other"), free]) == {free.id}
        assert await tx.products.add([]) == set()
    assert await found(database, "A") == first
    assert await found(database, "B") == free


async def test_of_two_with_one_sku_one_is_added(database: Database) -> None:
    """Duplicates within one call are no error."""
    both = [product("A"), product("A")]
    async with database.store(COMMERCE).transaction() as tx:
        [added] = await tx.products.add(both)
    assert await found(database, "A") == next(each for each in both if each.id == added)


async def test_a_new_product_has_no_stock(database: Database) -> None:
    """Its stock row exists from the start, so that it can be locked."""
    await kept(database, product("A"), product("B"))
    async with database.store(COMMERCE).reading() as tx:
        assert await tx.stock.find_level("A") == StockLevel("A", 0, 0)
        assert await tx.stock.find_level("B") == StockLevel("B", 0, 0)


async def test_a_change_stores_all_new_values_but_the_sku_and_the_creation_time(database: Database) -> None:
    """Many products change in one statement, and the others stay as they are."""
    before = [product(sku) for sku in "ABC"]
    await kept(database, *before)
    new: dict[str, Any] = {"name": "n", "description": "d", "price": price("1", "EUR"), "archived": True, "version": 2}
    changed = [replace(each, **new, update_time=LATER) for each in before[:2]]
    async with database.store(COMMERCE).transaction() as tx:
        await tx.products.lock_by_sku(["A", "B"])
        await tx.products.change([replace(each, sku="other", create_time=LATER) for each in changed])
        await tx.products.change([])
    assert [await found(database, sku) for sku in "ABC"] == [*changed, before[2]]


async def test_products_are_listed_in_the_order_of_ascii(database: Database) -> None:
    """Digits, capitals and small letters as bytes, whatever the database's locale."""
    await kept(database, *map(product, SKUS))
    assert await listed(database) == sorted(SKUS)


async def test_a_list_goes_on_behind_any_sku(database: Database) -> None:
    """Also behind one that does not exist, and behind the last."""
    await kept(database, *map(product, SKUS))
    for after in [*SKUS, "", "8", "Z", "zz"]:
        behind = sorted(sku for sku in SKUS if sku > after)
        assert await listed(database, after=after) == behind
        assert await listed(database, after=after, limit=2) == behind[:2]


async def test_archived_products_are_listed_where_requested(database: Database) -> None:
    """They do not count towards the limit where they are left out."""
    await kept(database, product("A", archived=True), product("B"), product("C", archived=True), product("D"))
    assert await listed(database, archived=False, limit=2) == ["B", "D"]
    assert await listed(database, archived=True, limit=2) == ["A", "B"]


async def test_a_lock_holds_until_the_transaction_ends(database: Database) -> None:
    """Exactly the products that were asked for, and only meanwhile."""
    products = [product(sku) for sku in "ABCD"]
    await kept(database, *products)
    async with database.store(COMMERCE).transaction() as tx:
        assert await tx.products.lock(products[0].id) == products[0]
        assert await tx.products.lock_by_sku(["C", "B", "NONE"]) == {"B": products[1], "C": products[2]}
        assert await unlocked(database, "products") == {products[3].id}
    assert await unlocked(database, "products") == {each.id for each in products}


async def test_the_smallest_price_is_kept(database: Database) -> None:
    """google.type.Money's last decimal is not rounded away."""
    await kept(database, product("A", price=price("0.000000001")))
    assert (kept_product := await found(database, "A")) is not None
    assert kept_product.price.amount == Decimal("0.000000001")
