"""The pgbench peer, on a real server: it writes the orders that Backroom would have written."""

import json
from collections import Counter
from uuid import uuid4

import psycopg
import pytest

from bench.peers.pgbench import Pgbench, PgbenchFailed, read
from bench.postgres import Postgres
from bench.totals import TotalsMismatch
from server.commerce.rules.orders import Line, PlaceOrder
from server.commerce.service import Orders
from server.frame.caller import Caller
from server.frame.module import now
from storage.commerce.records import Order
from storage.commerce.store import COMMERCE
from storage.database import Database
from storage.frame.records import ChangeContext, RequestKey

pytestmark = pytest.mark.proof

_TABLES = (
    "frame.request_ids",
    "commerce.orders",
    "commerce.order_lines",
    "commerce.stock_movements",
    "frame.events",
    "frame.audit_entries",
)
_GROWS = ("sequence", "held_after", "transaction_id", "key_id")

_OUT = """
number of transactions actually processed: 1204
number of failed transactions: {failed} (0.000%)
latency average = 3.320 ms
initial connection time = 4.513 ms
tps = 301.229989 (without initial connection time)
"""


@pytest.fixture
def peer(database_url: str) -> Pgbench:
    program = Postgres.of(database_url).program("pgbench")
    if program is None:
        pytest.skip("this PostgreSQL comes without pgbench")
    return Pgbench(program, database_url)


async def test_its_orders_agree_with_stock_and_ledger(peer: Pgbench) -> None:
    """They satisfy Backroom's invariants, and there are as many as pgbench reports."""
    run = await peer.run(clients=4, seconds=1)
    assert run.transactions > 0
    await peer.check()


async def test_it_writes_what_backroom_writes(peer: Pgbench, database: Database, database_url: str) -> None:
    """In every table, one of its orders leaves as many rows as Backroom's, with the same columns filled alike."""
    with psycopg.connect(database_url) as connection:
        sku = _value(connection, "SELECT sku FROM commerce.products")
        before = _written(connection)
        (order,) = await Orders(database.store(COMMERCE), now, uuid4).place([_ask(str(sku))])
        assert isinstance(order, Order)
        ours = _written(connection) - before
        assert sum(ours.values()) == 6
        run = await peer.run(clients=1, seconds=1)
        theirs = _written(connection) - before - ours
    assert theirs == Counter({row: count * run.transactions for row, count in ours.items()})


async def test_a_lost_order_is_found(peer: Pgbench, database_url: str) -> None:
    """The check compares what pgbench reported with the rows."""
    await peer.run(clients=1, seconds=1)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM commerce.order_lines")
        connection.execute("DELETE FROM commerce.orders")
    with pytest.raises(TotalsMismatch, match="orders were reported, and 0 are there"):
        await peer.check()


async def test_it_reads_existing_rows(peer: Pgbench) -> None:
    """An order that it placed, and the product; reading changes nothing that the check covers."""
    await peer.run(clients=1, seconds=1)
    for read_again in (peer.read_order, peer.read_product):
        found = await read_again(2, 1)
        assert found.transactions > 0
    await peer.check()


async def test_a_read_that_finds_nothing_fails(peer: Pgbench, database_url: str) -> None:
    """It would be fast: without any order, and with a deleted product."""
    with pytest.raises(PgbenchFailed, match="no order was placed"):
        await peer.read_order(1, 1)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE commerce.products SET sku = 'another'")
    with pytest.raises(PgbenchFailed):
        await peer.read_product(1, 1)


@pytest.mark.parametrize("out", [_OUT.format(failed=3), _OUT.format(failed=0).replace("tps", "speed"), ""])
def test_incomplete_output_is_refused(out: str) -> None:
    """Failed transactions, and missing figures, never become a rate."""
    with pytest.raises(PgbenchFailed):
        read(out)


def test_its_figures_are_parsed() -> None:
    """The rate is the one without the time that connections took."""
    run = read(_OUT.format(failed=0))
    assert [run.transactions, run.rate, run.latency] == pytest.approx([1204, 301.229989, 0.00332])


def _ask(sku: str) -> PlaceOrder:
    caller = Caller(uuid4(), frozenset(["orders.hold_more"]))
    method = "backroom.commerce.v1.OrderService/PlaceOrder"
    asked = ChangeContext(
        caller.account_id, method, now(), "127.0.0.1", uuid4().hex, RequestKey(caller.account_id, uuid4(), bytes(32))
    )
    return PlaceOrder(caller, asked, uuid4(), None, None, (Line(sku, 1, None),))


def _value(connection: psycopg.Connection[tuple[object, ...]], query: str) -> object:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def _written(connection: psycopg.Connection[tuple[object, ...]]) -> Counter[str]:
    """How many rows of each shape there are; a shape is the table and how its columns are filled."""
    rows: list[tuple[str, object]] = []
    for table in _TABLES:
        rows += [(table, row) for (row,) in connection.execute(f"SELECT to_jsonb(t) FROM {table} AS t")]
    connection.commit()
    shapes: Counter[str] = Counter()
    for table, row in rows:
        assert isinstance(row, dict)
        shapes[f"{table}: {sorted((name, _filled(name, value)) for name, value in row.items())}"] += 1
    return shapes


def _filled(name: str, value: object) -> str:
    """The length of a text; for times and growing numbers whether they are set, for JSON its keys."""
    if value is None:
        return "empty"
    if name == "data":
        return ", ".join(json.loads(str(value)))
    return "filled" if name in _GROWS or name.endswith("_time") else str(len(str(value)))
