"""The books of commerce, checked by SQL: what must hold of stock and orders whatever has happened."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from sqlalchemy import text

from storage.database import Database

_SHELVES = "commerce.products JOIN commerce.stock ON stock.product_id = products.id"

_FAULTS = {
    "the fold of the movements is not the balance": f"""
        SELECT sku FROM {_SHELVES} LEFT JOIN (
            SELECT product_id, sum(on_hand_delta) AS on_hand, sum(held_delta) AS held
            FROM commerce.stock_movements GROUP BY product_id
        ) AS ledger USING (product_id)
        WHERE (stock.on_hand, stock.held) IS DISTINCT FROM (coalesce(ledger.on_hand, 0), coalesce(ledger.held, 0))
    """,
    "a movement does not start where the one before it ended": """
        SELECT DISTINCT sku FROM commerce.products JOIN (
            SELECT product_id,
                lag(on_hand_after, 1, 0) OVER ledger + on_hand_delta = on_hand_after
                AND lag(held_after, 1, 0) OVER ledger + held_delta = held_after AS whole
            FROM commerce.stock_movements WINDOW ledger AS (PARTITION BY product_id ORDER BY sequence)
        ) AS steps ON product_id = id
        WHERE NOT whole
    """,
    "the lines of the pending orders are not what is held": f"""
        SELECT sku FROM {_SHELVES} LEFT JOIN (
            SELECT product_id, sum(quantity) AS held
            FROM commerce.order_lines JOIN commerce.orders ON orders.id = order_id
            WHERE state = 'pending' GROUP BY product_id
        ) AS pending USING (product_id)
        WHERE stock.held <> coalesce(pending.held, 0)
    """,
    "something is negative": f"SELECT sku FROM {_SHELVES} WHERE held < 0 OR on_hand < held",
    "an order was not held once and released at most once": """
        SELECT DISTINCT coalesce(reference, order_id::text) FROM (
            SELECT order_id, product_id, sum(quantity) AS pieces
            FROM commerce.order_lines GROUP BY order_id, product_id
        ) AS ordered FULL JOIN (
            SELECT order_id, product_id,
                sum(held_delta) FILTER (WHERE reason = 'held') AS held,
                -sum(held_delta) FILTER (WHERE reason = 'released') AS released
            FROM commerce.stock_movements WHERE order_id IS NOT NULL GROUP BY order_id, product_id
        ) AS moved USING (order_id, product_id)
        LEFT JOIN commerce.orders ON orders.id = order_id
        WHERE (held, coalesce(released, 0)) IS DISTINCT FROM
            (pieces, CASE WHEN state IN ('cancelled', 'expired') THEN pieces ELSE 0 END)
    """,
    "the counts or the total are not the sum of the lines": """
        SELECT coalesce(reference, orders.id::text) FROM commerce.orders LEFT JOIN (
            SELECT order_id, count(*) AS lines, sum(quantity) AS pieces, sum(quantity * unit_price) AS amount
            FROM commerce.order_lines GROUP BY order_id
        ) AS sums ON order_id = orders.id
        WHERE (line_count, unit_count, total) IS DISTINCT FROM (lines, pieces, amount)
    """,
}
"""Each finds the products, or the orders, that something is wrong with."""

_WHOLE = " UNION ALL ".join(
    f"SELECT '{fault}: ' || found.it FROM ({query}) AS found (it)" for fault, query in _FAULTS.items()
)


class _UndoneError(Exception):
    pass


async def faults(database: Database) -> list[str]:
    """What does not hold, and of what; nothing where the books are right. All is read in one snapshot."""
    return [str(fault) for fault in await _column(database, _WHOLE)]


async def faults_if(database: Database, *statements: str) -> list[str]:
    """What would not hold if these statements, which no use case knows, were done; they are undone."""
    found: list[str] = []
    with suppress(_UndoneError):
        async with database.transaction() as tx:
            for statement in statements:
                await tx._connection.execute(text(statement))
            found += (await tx._connection.execute(text(_WHOLE))).scalars()
            raise _UndoneError
    return found


async def unlocked(database: Database, table: str, key: str = "id") -> set[UUID]:
    """The keys of those rows of a table that no other transaction holds a lock of."""
    return {*await _column(database, f"SELECT {key} FROM commerce.{table} FOR UPDATE SKIP LOCKED")}


async def count(database: Database, table: str) -> int:
    """How many rows a table has."""
    [rows] = await _column(database, f"SELECT count(*) FROM commerce.{table}")
    return int(rows)


async def run(database: Database, statement: str) -> None:
    """Does what no use case can do yet."""
    async with database.transaction() as tx:
        await tx._connection.execute(text(statement))


async def _column(database: Database, statement: str) -> Sequence[Any]:
    async with database.reading() as tx:
        return (await tx._connection.execute(text(statement))).scalars().all()
