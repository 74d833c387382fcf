"""The totals of a database without a server: a product to sell, and whether everything adds up at the end."""

from uuid import uuid4

import psycopg

from storage.database import Database
from storage.schema import LAWS

_PIECES = 1_000_000_000

_PRODUCT = """
    WITH product AS (
        INSERT INTO commerce.products
            (id, sku, name, description, price, currency, archived, version, create_time, update_time)
        VALUES (%(id)s, %(sku)s, 'Hot', '', 12.5, 'GBP', false, 1, now(), now())
    ), balance AS (
        INSERT INTO commerce.stock (product_id, on_hand, held) VALUES (%(id)s, %(pieces)s, 0)
    )
    INSERT INTO commerce.stock_movements (
        product_id, reason, on_hand_delta, held_delta, on_hand_after, held_after, note, account_id, create_time
    ) VALUES (%(id)s, 'received', %(pieces)s, 0, %(pieces)s, 0, '', %(id)s, now())
"""


class TotalsMismatch(Exception):
    """The rows do not add up, or differ from what was reported; the text says how."""


def stock_product(url: str) -> str:
    """Creates a product with more pieces than a bench sells, and returns its SKU."""
    product_id = uuid4()
    with psycopg.connect(url) as connection:
        connection.execute(_PRODUCT, {"id": product_id, "sku": f"hot-{product_id.hex}", "pieces": _PIECES})
    return f"hot-{product_id.hex}"


async def check_totals(url: str, orders: int) -> None:
    """Checks all rows against Backroom's invariants, and the number of orders; raises TotalsMismatch."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")  # the planner has no statistics of tables that have just been filled
    database = Database(url, pool_size=1)
    try:
        findings = await database.check(LAWS)
    finally:
        await database.close()
    wrong = [f"{finding.law}: {finding.violations} violations" for finding in findings if finding.violations]
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM commerce.orders").fetchone()
    if row != (orders,):
        wrong.append(f"{orders} orders were reported, and {row and row[0]} are there")
    if wrong:
        raise TotalsMismatch("; ".join(wrong))
