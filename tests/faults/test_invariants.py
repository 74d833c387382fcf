"""The checker is checked: it finds each damage that is done on purpose."""

import psycopg
import pytest

from tests.faults.invariants import assert_whole, broken
from tests.faults.load import Book, any_order, goods
from tests.fixtures.servers import Api

DAMAGES = {
    "an order without lines": ("DELETE FROM commerce.order_lines", "an order's head and its lines disagree"),
    "a line lost": ("DELETE FROM commerce.order_lines WHERE position = 1", "an order's head and its lines disagree"),
    "a wrong total": ("UPDATE commerce.orders SET total = total + 1", "an order's head and its lines disagree"),
    "a hold without its order": (
        "DELETE FROM commerce.order_lines; DELETE FROM commerce.orders",
        "an order holds other than what its lines ask for",
    ),
    "an order without its hold": (
        "DELETE FROM commerce.stock_movements WHERE reason = 'held'",
        "an order holds other than what its lines ask for",
    ),
    "a hold that outlives its order": (
        "UPDATE commerce.orders SET state = 'cancelled'",
        "an order holds other than what its lines ask for",
    ),
    "a balance that moved by itself": (
        "UPDATE commerce.stock SET held = held + 1",
        "the ledger does not fold to the balance",
    ),
    "a movement out of turn": (
        "UPDATE commerce.stock_movements SET held_after = held_after + 1 WHERE reason = 'held'",
        "a movement does not go on where the one before it ended",
    ),
    "an answer without its order": (
        "DELETE FROM commerce.order_lines; DELETE FROM commerce.orders",
        "a request placed an order that is not there",
    ),
    "two requests for one order": (
        "UPDATE frame.request_ids SET answer = (SELECT min(answer) FROM frame.request_ids)",
        "an order is not the answer of exactly one request",
    ),
    "a request without an answer": (
        "UPDATE frame.request_ids SET answer = NULL",
        "a request was claimed and never answered",
    ),
}


async def test_the_checker_finds_each_damage(service: Api, database_url: str) -> None:
    """And finds none where none was done."""
    await goods(service)
    book = Book()
    for _ in range(3):
        await book.place(service, any_order())
    assert_whole(database_url, book.ok.values())
    with psycopg.connect(database_url) as connection:
        for damage, (statement, law) in DAMAGES.items():
            connection.execute(statement)
            assert law in broken(connection), damage
            connection.rollback()


async def test_the_checker_misses_no_acknowledged_order(service: Api, database_url: str) -> None:
    """An order that a caller was told of and that is not there is found."""
    await goods(service)
    with pytest.raises(AssertionError):
        assert_whole(database_url, ["00000000-0000-0000-0000-000000000000"])
