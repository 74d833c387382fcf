"""A shop with many orders, written directly into the tables, as if it had traded for a year.

It satisfies everything that `backroom verify` checks of orders, lines, stock, payments and requests.
The record of changes stays empty, since a server signs each of its entries.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, TypeAlias
from uuid import UUID

import psycopg
from psycopg import sql

ACCOUNT = UUID("0196f2a0-0000-7000-8000-00000000f111")
"""The account that placed all the orders, and received all the stock."""
MAX_LOYAL = "customer-0"
"""The customer with the most orders."""
REMEMBERED = timedelta(days=29)
"""How far back requests and events exist; a server keeps them a day longer."""

_SPAN = timedelta(days=365)
_SESSION: LiteralString = """
    SET synchronous_commit = off;
    SET work_mem = '512MB';
    SET maintenance_work_mem = '512MB';
    SET temp_buffers = '256MB';
    SET jit = off;
    -- No look-up for each foreign key: every id here is taken from the row that it names.
    SET session_replication_role = replica;
    SELECT setseed(0.25);
"""

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Filling:
    """The size of the shop, and the time of its last order."""

    orders: int
    products: int
    now: datetime

    @property
    def customers(self) -> int:
        """Twenty orders each on average; a few loyal ones have thousands."""
        return max(1, self.orders // 20)


def fill(url: str, orders: int, *, products: int = 1_000, now: datetime | None = None, at_once: int = 250_000) -> None:
    """Fills an empty, migrated database, as a superuser, and gathers its statistics.

    `at_once` orders are generated per statement; what a statement sorts should fit into memory.
    """
    filling = Filling(orders, products, now or datetime.now(UTC))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_SESSION)
        connection.execute(_UUID7)
        with _indexes_later(connection):
            _run(connection, _CATALOG, filling)
            for first in range(1, orders + 1, at_once):
                with connection.transaction():
                    for statements in (_DRAW, _ORDERS, _STOCK, _PAYMENTS, _REMEMBERED):
                        _run(connection, statements, filling, first, min(first + at_once - 1, orders))
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


@contextmanager
def _indexes_later(connection: Connection) -> Iterator[None]:
    """Drops the indexes that no constraint needs, and rebuilds the same ones at the end of the block.

    Sorting all rows once is several times as fast as inserting each.
    """
    found = connection.execute(_INDEXES).fetchall()
    for name, _ in found:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(*name)))
    yield
    for _, definition in found:
        connection.execute(definition)


def _run(connection: Connection, statements: LiteralString, filling: Filling, first: int = 0, last: int = 0) -> None:
    values: Mapping[str, object] = {
        "first": first,
        "last": last,
        "orders": filling.orders,
        "products": filling.products,
        "customers": filling.customers,
        "now": filling.now,
        "span": _SPAN,
        "remembered": filling.now - REMEMBERED,
        "account": ACCOUNT,
    }
    connection.execute(sql.SQL(statements).format(**{name: sql.Literal(value) for name, value in values.items()}))


_INDEXES: LiteralString = """
SELECT ARRAY[schemaname, indexname]::text[], indexdef FROM pg_indexes
WHERE schemaname IN ('commerce', 'frame')
    AND to_regclass(format('%I.%I', schemaname, indexname)) NOT IN (SELECT conindid FROM pg_constraint)
"""

_UUID7: LiteralString = """
CREATE FUNCTION pg_temp.uuid7(at timestamptz) RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT overlay(overlay(
        md5(random()::text) PLACING lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' FROM 1
    ) PLACING '8' FROM 17)::uuid
$$
"""

_CATALOG: LiteralString = """
CREATE TEMP TABLE shelf AS
    SELECT number, pg_temp.uuid7({now} - {span}) AS product_id, round((0.5 + 40 * random() ^ 2)::numeric, 2) AS price
    FROM generate_series(1, {products}) AS number;
ANALYZE shelf;
INSERT INTO commerce.products
    (id, sku, name, description, price, currency, archived, version, create_time, update_time)
    SELECT product_id, 'FILLED-' || lpad(number::text, 6, '0'), 'Product ' || number, '', price, 'GBP', false, 1,
        {now} - {span}, {now} - {span}
    FROM shelf;
-- More than all orders together can ask for.
INSERT INTO commerce.stock (product_id, on_hand, held) SELECT product_id, {orders} * 12, 0 FROM shelf;
INSERT INTO commerce.stock_movements
    (product_id, reason, on_hand_delta, held_delta, on_hand_after, held_after, note, account_id, create_time)
    SELECT product_id, 'received', on_hand, 0, on_hand, 0, '', {account}, {now} - {span} FROM commerce.stock;
"""

_DRAW: LiteralString = """
CREATE TEMP TABLE draw ON COMMIT DROP AS
    SELECT number, pg_temp.uuid7(at) AS id, at, lines,
        'customer-' || floor({customers} * random() ^ 3)::int AS customer_id,
        CASE WHEN luck < 0.80 THEN 'fulfilled' WHEN luck < 0.86 THEN 'paid' WHEN luck < 0.92 THEN 'cancelled'
            WHEN luck < 0.97 THEN 'expired' ELSE 'pending' END AS state
    FROM (
        SELECT number, {now} - {span} * (({orders} - number)::float8 / {orders}) AS at, random() AS luck,
            1 + (random() < 0.2)::int + (random() < 0.1)::int AS lines
        FROM generate_series({first}, {last}) AS number
    ) AS drawn;
CREATE TEMP TABLE line ON COMMIT DROP AS
    SELECT drawn.number, id, state, at, position, product_id, quantity, price
    FROM (
        SELECT *, 1 + floor({products} * random() ^ 2)::int AS shelf, 1 + floor(4 * random() ^ 2)::int AS quantity
        FROM draw, generate_series(0, lines - 1) AS position
    ) AS drawn JOIN shelf ON shelf.number = drawn.shelf;
CREATE TEMP TABLE placed ON COMMIT DROP AS
    SELECT draw.*, CASE WHEN number % 2 = 0 THEN 'R' || number END AS reference, units, total
    FROM draw JOIN (
        SELECT number, sum(quantity) AS units, sum(quantity * price) AS total FROM line GROUP BY number
    ) AS sums USING (number);
ANALYZE line, placed;
"""

_ORDERS: LiteralString = """
INSERT INTO commerce.orders
    (id, reference, customer_id, placed_by, state, line_count, unit_count, total, currency, cancel_reason,
     create_time, update_time, hold_end_time)
    SELECT id, reference, customer_id, {account}, state, lines, units, total, 'GBP',
        CASE WHEN state = 'cancelled' THEN 'not wanted any more' ELSE '' END, at,
        CASE WHEN state = 'pending' THEN at ELSE least(at + interval '10 minutes', {now}) END,
        -- None of those that wait comes to its end while a server runs on them.
        CASE WHEN state = 'pending' THEN {now} + interval '10 years' ELSE at + interval '15 minutes' END
    FROM placed ORDER BY number;
INSERT INTO commerce.order_lines (order_id, position, product_id, quantity, unit_price)
    SELECT id, position, product_id, quantity, price FROM line ORDER BY number, position;
"""

_STOCK: LiteralString = """
INSERT INTO commerce.stock_movements
    (product_id, reason, on_hand_delta, held_delta, on_hand_after, held_after, order_id, note, account_id, create_time)
    SELECT product_id, reason, on_hand_delta, held_delta, on_hand + sum(on_hand_delta) OVER ledger,
        held + sum(held_delta) OVER ledger, id, '', {account}, at
    FROM (
        SELECT *, 1 AS step, 'held' AS reason, 0 AS on_hand_delta, quantity AS held_delta FROM line
        UNION ALL
        SELECT *, 2, CASE state WHEN 'cancelled' THEN 'released' WHEN 'expired' THEN 'expired' ELSE 'sold' END,
            CASE WHEN state IN ('paid', 'fulfilled') THEN -quantity ELSE 0 END, -quantity
        FROM line WHERE state <> 'pending'
    ) AS moves JOIN commerce.stock USING (product_id)
    WINDOW ledger AS (PARTITION BY product_id ORDER BY number, step, position ROWS UNBOUNDED PRECEDING)
    ORDER BY number, step, position;
UPDATE commerce.stock SET on_hand = on_hand - sold, held = held + waiting
    FROM (
        SELECT product_id, coalesce(sum(quantity) FILTER (WHERE state IN ('paid', 'fulfilled')), 0) AS sold,
            coalesce(sum(quantity) FILTER (WHERE state = 'pending'), 0) AS waiting
        FROM line GROUP BY product_id
    ) AS moved WHERE moved.product_id = stock.product_id;
"""

_PAYMENTS: LiteralString = """
INSERT INTO commerce.payments
    (id, order_id, created_by, provider, provider_id, method, state, amount, currency, authorized, captured, refunded,
     failure, voided, client_secret, create_time, update_time, customer_id)
    SELECT pg_temp.uuid7(at), id, {account}, 'sandbox', 'filled_' || number, 'card', 'captured', total, 'GBP',
        total, total, 0, '', false, '', at, least(at + interval '10 minutes', {now}), customer_id
    FROM placed WHERE state IN ('paid', 'fulfilled') ORDER BY number;
"""

_REMEMBERED: LiteralString = """
INSERT INTO frame.request_ids (caller_id, request_id, digest, answer, create_time)
    SELECT {account}, gen_random_uuid(), sha256(number::text::bytea), id::text, at
    FROM placed WHERE at >= {remembered};
INSERT INTO frame.events (type, subject_id, data, create_time)
    SELECT 'order.placed', id, json_build_object(
        'order_id', id, 'reference', coalesce(reference, ''), 'customer_id', customer_id, 'placed_by', {account},
        'state', 'pending', 'line_count', lines, 'unit_count', units,
        'total', json_build_object('amount', trim_scale(total)::text, 'currency', 'GBP'), 'cancel_reason', '',
        'create_time', at, 'update_time', at)::text, at
    FROM placed WHERE at >= {remembered} ORDER BY number;
"""
