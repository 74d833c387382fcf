"""What must hold of the stored orders and stock, whatever happened: checked by SQL, independently of the server."""

from collections.abc import Iterable

import psycopg

_CHECKS = {
    "an order's head and its lines disagree": """
        SELECT o.id FROM commerce.orders o LEFT JOIN commerce.order_lines l ON l.order_id = o.id
         GROUP BY o.id
        HAVING count(l.*) <> o.line_count OR coalesce(sum(l.quantity), 0) <> o.unit_count
            OR coalesce(sum(l.quantity * l.unit_price), 0) <> o.total
    """,
    "an order holds other than what its lines ask for": """
        WITH asked AS (
            SELECT o.id AS order_id, l.product_id, sum(l.quantity) * (o.state = 'pending')::int AS pieces
              FROM commerce.orders o JOIN commerce.order_lines l ON l.order_id = o.id GROUP BY o.id, l.product_id
        ), held AS (
            SELECT order_id, product_id, sum(held_delta) AS pieces
              FROM commerce.stock_movements WHERE order_id IS NOT NULL GROUP BY order_id, product_id
        )
        SELECT coalesce(asked.order_id, held.order_id) FROM asked FULL JOIN held USING (order_id, product_id)
         WHERE asked.pieces IS DISTINCT FROM held.pieces
    """,
    "the ledger does not fold to the balance": """
        SELECT s.product_id FROM commerce.stock s LEFT JOIN commerce.stock_movements m USING (product_id)
         GROUP BY s.product_id
        HAVING coalesce(sum(m.on_hand_delta), 0) <> s.on_hand OR coalesce(sum(m.held_delta), 0) <> s.held
    """,
    "a movement does not go on where the one before it ended": """
        SELECT sequence FROM (
            SELECT sequence, on_hand_after, held_after,
                   sum(on_hand_delta) OVER ledger AS on_hand, sum(held_delta) OVER ledger AS held
              FROM commerce.stock_movements WINDOW ledger AS (PARTITION BY product_id ORDER BY sequence)
        ) AS folded WHERE (on_hand_after, held_after) <> (on_hand, held)
    """,
    "stock is negative": "SELECT product_id FROM commerce.stock WHERE held < 0 OR held > on_hand",
    "a request was claimed and never answered": "SELECT request_id FROM frame.request_ids WHERE answer IS NULL",
    "a request placed an order that is not there": """
        SELECT r.request_id FROM frame.request_ids r
         WHERE r.answer ~ '^[0-9a-f]{8}-[0-9a-f-]{27}$'
           AND NOT EXISTS (SELECT FROM commerce.orders o WHERE o.id = r.answer::uuid AND o.placed_by = r.caller_id)
    """,
    "an order is not the answer of exactly one request": """
        SELECT o.id FROM commerce.orders o
         WHERE (SELECT count(*) FROM frame.request_ids r WHERE r.answer = o.id::text) <> 1
    """,
}


def broken(connection: psycopg.Connection) -> dict[str, list[str]]:
    """The laws that do not hold, each with what breaks it; to be called in one snapshot."""
    found = {law: [str(row[0]) for row in connection.execute(query)] for law, query in _CHECKS.items()}
    return {law: places for law, places in found.items() if places}


def assert_whole(database_url: str, acknowledged: Iterable[str]) -> None:
    """All laws hold, and every order that a caller was told of is there, once."""
    with psycopg.connect(database_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        assert broken(connection) == {}
        stored = [str(row[0]) for row in connection.execute("SELECT id FROM commerce.orders")]
    told = list(acknowledged)
    assert len(set(told)) == len(told)
    assert set(told) <= set(stored)


def count_orders(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM commerce.orders").fetchone()
    return int(row[0]) if row else 0
