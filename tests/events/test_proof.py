"""The proof itself: its checker finds what it is to find, and the server that is killed loses and doubles nothing."""

from collections.abc import Sequence

import pytest

from tests.events.proving.checker import Book
from tests.events.proving.sending import send_and_kill, stored


def booked(*answers: tuple[str, str, str]) -> Book:
    """What was answered, each as an id, a content and an outcome."""
    book = Book()
    for event_id, content, outcome in answers:
        book.send(("/a", event_id), content)
        book.answer(("/a", event_id), content, outcome)
    return book


@pytest.mark.parametrize(
    ("answers", "rows", "said"),
    [
        ([("1", "x", "stored"), ("1", "x", "duplicate"), ("1", "y", "conflict")], [("1", "x")], ""),
        ([("1", "x", "stored")], [], "acknowledged, and lost"),
        ([("1", "x", "duplicate")], [], "acknowledged, and lost"),
        ([("1", "x", "stored")], [("1", "x"), ("1", "x")], "stored 2 times"),
        ([("1", "x", "stored"), ("1", "x", "stored")], [("1", "x")], "answered stored 2 times"),
        ([("1", "x", "stored")], [("1", "x"), ("2", "x")], "never sent"),
        ([("1", "x", "stored")], [("1", "y")], "another content"),
        ([("1", "x", "stored"), ("1", "y", "duplicate")], [("1", "x")], "another content"),
        ([("1", "x", "stored"), ("1", "x", "conflict")], [("1", "x")], "called a conflict"),
        ([("1", "y", "conflict")], [("1", "x")], "never answered"),
    ],
)
def test_the_checker_finds_each_kind_of_problem(
    answers: Sequence[tuple[str, str, str]], rows: Sequence[tuple[str, str]], said: str
) -> None:
    """And none where there is none."""
    problems = booked(*answers).problems(("/a", *row) for row in rows)
    assert [said in each for each in problems].count(True) == bool(said), problems
    assert bool(problems) == bool(said)


@pytest.mark.slow
async def test_a_killed_server_loses_and_doubles_no_event(database_url: str) -> None:
    """kill -9 in the middle of streams with duplicates and conflicts: what was acknowledged is stored, each once."""
    book = await send_and_kill(database_url, 15_000, 2, seed=5)
    assert book.problems(stored(database_url)) == []


@pytest.mark.slow
async def test_a_key_that_is_claimed_too_early_is_found(database_url: str) -> None:
    """The same with a server that claims keys in an earlier transaction: events are acknowledged, and lost."""
    book = await send_and_kill(database_url, 30_000, 4, seed=6, program="tests.events.proving.planted")
    assert any("acknowledged, and lost" in problem for problem in book.problems(stored(database_url)))
