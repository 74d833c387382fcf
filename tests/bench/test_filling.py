"""The shop that the bench fills in by SQL could have been left by a server."""

from collections import Counter

import psycopg
import pytest

from backroom.commerce.v1 import order_service_pb2, orders_pb2
from bench.filling import ACCOUNT, MAX_LOYAL, fill
from migrations.compare import _catalog
from storage.database import Database
from storage.schema import LAWS
from tests.fixtures.servers import Api
from tests.invariants import broken
from tests.process.commands import backroom

pytestmark = pytest.mark.proof

ORDERS = 1_500
LAWS_OF_NOTHING = {"each received event has taken effect, or its job is in the queue"}
LAWS_OF_THE_RECORD = {"I12"}


@pytest.fixture
def filled(database_url: str) -> str:
    """The URL of a database with a filled shop, generated in three parts."""
    fill(database_url, ORDERS, products=20, at_once=600)
    return database_url


@pytest.mark.usefixtures("filled")
async def test_every_law_holds_for_a_filled_shop(database: Database) -> None:
    """Each has rows to check, except those of the record, which a server signs, and of received events."""
    findings = {each.law: each.checked for each in await database.check(LAWS) if each.id not in LAWS_OF_THE_RECORD}
    assert await broken(database) == {}
    assert {law for law, checked in findings.items() if not checked} == LAWS_OF_NOTHING


async def test_the_command_verify_accepts_a_filled_shop(filled: str) -> None:
    """It exits with 0."""
    ended = await backroom("verify", DATABASE_URL=filled, BACKROOM_PAYMENT_PROVIDER="none", COLUMNS="200")
    assert ended.code == 0, ended.out + ended.err


def test_the_schema_is_the_same_afterwards(database_url: str) -> None:
    """Every index that was dropped during the inserts exists again, unchanged."""
    before = _catalog(database_url)
    fill(database_url, 10, products=3)
    assert _catalog(database_url) == before


def test_orders_are_spread_over_states_customers_and_time(filled: str) -> None:
    """Each state but "refunded" has its share, one customer has many times the average, ids grow with time."""
    with psycopg.connect(filled) as connection:
        rows = connection.execute("SELECT state, customer_id FROM commerce.orders ORDER BY create_time, id").fetchall()
        ids = [row[0] for row in connection.execute("SELECT id FROM commerce.orders ORDER BY create_time")]
        lines = connection.execute("SELECT count(*) FROM commerce.order_lines").fetchone()
    states, customers = (Counter(column) for column in zip(*rows, strict=True))
    assert states.total() == ORDERS
    assert set(states) == {"fulfilled", "paid", "cancelled", "expired", "pending"}
    assert states["fulfilled"] > ORDERS / 2
    assert customers.most_common(1)[0][0] == MAX_LOYAL
    assert customers[MAX_LOYAL] > 5 * ORDERS / len(customers)
    assert lines is not None
    assert ORDERS < lines[0] < 3 * ORDERS
    assert [each.hex[:12] for each in ids] == sorted(each.hex[:12] for each in ids)
    assert {each.version for each in ids} == {7}


@pytest.mark.usefixtures("filled")
async def test_a_server_shows_the_filled_in_orders(admin: Api) -> None:
    """A list by state, and the order with its lines, whose amounts add up."""
    request = order_service_pb2.ListOrdersRequest(state=orders_pb2.ORDER_STATE_PENDING, page_size=5)
    listed = (await admin.orders.ListOrders(request)).orders
    assert len(listed) == 5
    got = (await admin.orders.GetOrder(order_service_pb2.GetOrderRequest(order_id=listed[0].order_id))).order
    assert got.placed_by == str(ACCOUNT)
    assert len(got.lines) == listed[0].line_count
    assert sum(line.quantity for line in got.lines) == listed[0].unit_count
