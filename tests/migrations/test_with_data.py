"""What an earlier version has kept is whole after the upgrade, and after the way back."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

import migrations
from storage.database import Database
from storage.url import sibling
from tests.invariants import broken

SHOP = """
INSERT INTO commerce.products VALUES
    ('00000000-0000-0000-0000-00000000000a', 'TEA', 'Tea', '', 2, 'GBP', false, 1, now(), now());
INSERT INTO commerce.stock VALUES ('00000000-0000-0000-0000-00000000000a', 10, 3);
INSERT INTO commerce.orders (id, customer_id, placed_by, state, line_count, unit_count, total, currency, cancel_reason,
        create_time, update_time) VALUES
    ('00000000-0000-0000-0000-000000000001', 'c', gen_random_uuid(), 'pending', 1, 3, 6, 'GBP', '',
        now() - interval '1 day', now()),
    ('00000000-0000-0000-0000-000000000002', 'c', gen_random_uuid(), 'cancelled', 1, 1, 2, 'GBP', 'x', now(), now());
INSERT INTO commerce.order_lines VALUES
    ('00000000-0000-0000-0000-000000000001', 0, '00000000-0000-0000-0000-00000000000a', 3, 2),
    ('00000000-0000-0000-0000-000000000002', 0, '00000000-0000-0000-0000-00000000000a', 1, 2);
INSERT INTO commerce.stock_movements (product_id, reason, on_hand_delta, held_delta, on_hand_after, held_after,
        order_id, note, account_id, create_time) VALUES
    ('00000000-0000-0000-0000-00000000000a', 'received', 10, 0, 10, 0, NULL, '', gen_random_uuid(), now()),
    ('00000000-0000-0000-0000-00000000000a', 'held', 0, 3, 10, 3, '00000000-0000-0000-0000-000000000001', '',
        gen_random_uuid(), now()),
    ('00000000-0000-0000-0000-00000000000a', 'held', 0, 1, 10, 4, '00000000-0000-0000-0000-000000000002', '',
        gen_random_uuid(), now()),
    ('00000000-0000-0000-0000-00000000000a', 'released', 0, -1, 10, 3, '00000000-0000-0000-0000-000000000002', '',
        gen_random_uuid(), now());
INSERT INTO frame.request_ids VALUES (gen_random_uuid(), gen_random_uuid(), 'digest',
    '{"id": "00000000-0000-0000-0000-000000000002", "cancel_reason": "x", "update_time": "2026-11-21T04:00:00Z"}');
"""


@pytest.fixture
def old_url(postgres: str) -> Iterator[str]:
    """A database as the version before payments left it."""
    name = f"old_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        url = sibling(postgres, name)
        migrations.upgrade(url, "0003")
        with psycopg.connect(url) as shop:
            shop.execute(SHOP.encode())
        yield url
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_orders_of_before_payments_go_on(old_url: str) -> None:
    """A pending one has the whole hold ahead of it, an answer that may be asked for again is one of today's."""
    migrations.upgrade(old_url)
    with psycopg.connect(old_url) as connection:
        left = "SELECT hold_end_time - now() BETWEEN '14 minutes' AND '15 minutes' FROM commerce.orders"
        assert connection.execute(f"{left} WHERE state = 'pending'".encode()).fetchone() == (True,)
        answer = connection.execute("SELECT answer::jsonb ->> 'hold_end_time' FROM frame.request_ids").fetchone()
        assert answer == ("2026-11-21T04:00:00Z",)
    database = Database(old_url)
    assert await broken(database) == {}
    await database.close()


def test_the_way_back_keeps_what_the_earlier_version_knows(old_url: str) -> None:
    """Up and down again: not a row less, and the earlier version's own rules hold."""
    migrations.upgrade(old_url)
    migrations.downgrade(old_url, "0003")
    with psycopg.connect(old_url) as connection:
        counts = "SELECT (SELECT count(*) FROM commerce.orders), (SELECT count(*) FROM commerce.stock_movements)"
        assert connection.execute(counts).fetchone() == (2, 4)
        left = "SELECT count(*) FROM pg_class WHERE relname LIKE 'procrastinate%' OR relname IN ('events', 'payments')"
        assert connection.execute(left).fetchone() == (0,)
