"""A bidirectional stream."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.frame.streaming import answered_in_order
from tests.fixtures.examples import examples


class Asks:
    """A stream of numbers that counts how many were read, and may fail at its end."""

    def __init__(self, numbers: Iterable[int], error: Exception | None = None) -> None:
        self.read = 0
        self._numbers = numbers
        self._error = error

    async def __aiter__(self) -> AsyncIterator[int]:
        for number in self._numbers:
            self.read += 1
            yield number
        if self._error:
            raise self._error


class Answering:
    """Answers ten times the number after this many loop iterations, and counts concurrent answers."""

    def __init__(self, delays: dict[int, int] | None = None, fails: frozenset[int] = frozenset()) -> None:
        self.at_once = 0
        self.most_at_once = 0
        self.begun: list[int] = []
        self.cancelled: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self._delays = delays or {}
        self._fails = fails

    async def __call__(self, number: int) -> int:
        self.begun.append(number)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.open.wait()
            await turns(self._delays.get(number, 0))
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        finally:
            self.at_once -= 1
        if number in self._fails:
            raise LookupError(number)
        return number * 10


def result(_number: int, answer: "asyncio.Future[int]") -> int:
    return answer.result()


async def turns(count: int) -> None:
    """Runs everything that is ready, without letting time pass."""
    for _ in range(count):
        await asyncio.sleep(0)


async def collected(answers: AsyncIterator[int]) -> tuple[list[int], str]:
    """The answers, and the type of the error that ended them, if any."""
    seen: list[int] = []
    try:
        async for answer in answers:
            seen.append(answer)  # noqa: PERF401 - what came before an error counts
    except Exception as error:  # noqa: BLE001 - what it raises is what is looked at
        return seen, type(error).__name__
    return seen, ""


@examples(60)
@given(
    delays=st.lists(st.integers(0, 6), max_size=15),
    at_once=st.integers(1, 5),
    fails=st.frozensets(st.integers(0, 14), max_size=2),
    broken=st.booleans(),
)
async def test_answers_come_in_the_order_of_the_requests(
    delays: list[int], at_once: int, fails: frozenset[int], broken: bool
) -> None:
    """Whichever is ready first; an error takes its answer's place, and the stream's own error comes last."""
    answering = Answering(dict(enumerate(delays)), fails)
    asks = Asks(range(len(delays)), RuntimeError() if broken else None)
    seen, error = await collected(answered_in_order(asks.__aiter__(), answering, result, at_once=at_once))
    first_failure = min((number for number in fails if number < len(delays)), default=None)
    good = range(len(delays)) if first_failure is None else range(first_failure)
    assert seen == [number * 10 for number in good]
    assert error == ("LookupError" if first_failure is not None else "RuntimeError" if broken else "")
    assert answering.most_at_once <= at_once
    assert answering.at_once == 0


async def test_several_are_answered_at_once() -> None:
    """Up to the limit; the next one starts only when the first answer has been sent."""
    answering = Answering()
    answering.open.clear()
    answers = answered_in_order(Asks(range(9)).__aiter__(), answering, result, at_once=3)
    first = asyncio.ensure_future(anext(answers))
    await turns(10)
    assert answering.begun == [0, 1, 2]
    answering.open.set()
    assert await first == 0
    await turns(10)
    assert answering.begun == [0, 1, 2, 3]
    assert [answer async for answer in answers] == [number * 10 for number in range(1, 9)]


async def test_no_more_is_read_than_the_limit_of_waiting_requests() -> None:
    """A fast sender is slowed down: while three wait, the fourth is not read."""
    answering, asks = Answering(), Asks(range(100))
    answering.open.clear()
    answers = answered_in_order(asks.__aiter__(), answering, result, at_once=3)
    first = asyncio.ensure_future(anext(answers))
    await turns(20)
    read = asks.read
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert read == 3


async def test_an_empty_stream_has_no_answers() -> None:
    """It ends, and so do the answers."""
    assert await collected(answered_in_order(Asks([]).__aiter__(), Answering(), result, at_once=2)) == ([], "")


async def test_an_error_of_the_requests_is_raised_after_the_answers_before_it() -> None:
    """Earlier requests are answered."""
    asks = Asks([1, 2, 3], ValueError("the next message cannot be read"))
    answers = answered_in_order(asks.__aiter__(), Answering({1: 9}), result, at_once=2)
    assert await collected(answers) == ([10, 20, 30], "ValueError")


async def test_after_an_error_no_more_is_read_or_answered() -> None:
    """The later answers are cancelled."""
    answering, asks = Answering({1: 3, 2: 50, 3: 50}, frozenset([1])), Asks(range(1, 100))
    answers = answered_in_order(asks.__aiter__(), answering, result, at_once=3)
    assert await collected(answers) == ([], "LookupError")
    assert answering.cancelled == [2, 3]
    assert answering.at_once == 0
    read = asks.read
    await turns(10)
    assert asks.read == read


async def test_answers_that_were_not_started_are_dropped_silently() -> None:
    """An answer that fails immediately causes no warning about those after it."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        answers = answered_in_order(Asks(range(1, 9)).__aiter__(), Answering(fails=frozenset([1])), result, at_once=3)
        assert await collected(answers) == ([], "LookupError")
        del answers
        await turns(3)
        gc.collect()
    assert [str(warning.message) for warning in warned] == []


async def test_a_caller_that_goes_leaves_nothing_running() -> None:
    """Answers that no caller waits for are cancelled."""
    answering = Answering()
    answering.open.clear()
    answers = answered_in_order(Asks(range(9)).__aiter__(), answering, result, at_once=3)
    first = asyncio.ensure_future(anext(answers))
    await turns(10)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert sorted(answering.cancelled) == [0, 1, 2]
    assert answering.at_once == 0


async def test_a_slow_sender_is_answered_as_requests_arrive() -> None:
    """No answer waits for the next request."""
    gate = asyncio.Event()

    async def asks() -> AsyncIterator[int]:
        yield 1
        await gate.wait()
        yield 2

    answers = answered_in_order(asks(), Answering(), result, at_once=5)
    assert await anext(answers) == 10
    gate.set()
    assert await collected(answers) == ([20], "")
