"""The comparison of migrations and tables can fail: it sees every kind of difference."""

import psycopg

from migrations import compare

DIFFERENCES = {
    "a column's type": ("ALTER TABLE commerce.orders ALTER line_count TYPE bigint", "commerce.orders"),
    "a column that may be absent": ("ALTER TABLE identity.accounts ALTER name DROP NOT NULL", "identity.accounts"),
    "a default": ("ALTER TABLE commerce.products ALTER archived SET DEFAULT false", "commerce.products"),
    "an order of characters": (
        'ALTER TABLE commerce.products ALTER sku TYPE text COLLATE "POSIX"',
        "commerce.products",
    ),
    "a column more": ("ALTER TABLE identity.keys ADD note text", "identity.keys"),
    "a column less": ("ALTER TABLE commerce.orders DROP cancel_reason", "commerce.orders"),
    "a check less": ("ALTER TABLE commerce.stock DROP CONSTRAINT ck_stock_never_negative", "commerce.stock"),
    "a check more": ("ALTER TABLE commerce.stock ADD CHECK (on_hand < 10)", "commerce.stock"),
    "a key less": ("ALTER TABLE commerce.orders DROP CONSTRAINT uq_orders_placed_by_reference", "commerce.orders"),
    "an index less": ("DROP INDEX commerce.ix_orders_by_time", "commerce.orders"),
    "an index's condition": (
        "DROP INDEX frame.ix_events_since; CREATE INDEX ix_events_since ON frame.events (type) WHERE sequence > 0",
        "frame.events",
    ),
    "a storage parameter": ("ALTER TABLE commerce.stock SET (fillfactor = 90)", "commerce.stock"),
    "a table more": ("CREATE TABLE frame.more (id int)", "frame.more"),
    "a table less": ("DROP TABLE identity.sessions", "identity.sessions"),
}


def test_tables_equal_migrations(database_url: str, empty_url: str) -> None:
    """Tables built from the code and by the migrations are the same."""
    tables, migrated = compare._build_tables(empty_url), compare._catalog(database_url)
    assert compare._differences(tables, migrated) == []
    assert tables


def test_every_kind_of_difference_is_found(database_url: str) -> None:
    """Planted one after the other, each is reported with its table, whichever side has it."""
    before = compare._catalog(database_url)
    for kind, (statement, table) in DIFFERENCES.items():
        with psycopg.connect(database_url) as connection:
            connection.execute(statement)
        after = compare._catalog(database_url)
        for one, other in ((before, after), (after, before)):
            problems = compare._differences(one, other)
            assert problems, kind
            assert all(f" {table}: " in problem for problem in problems), (kind, problems)
        before = after
