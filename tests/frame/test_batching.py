"""Batches of calls."""

import asyncio
from collections.abc import Collection, Sequence
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.frame import batching
from server.frame.batching import Batcher
from server.frame.errors import Contention, Refusal, Stopping
from server.frame.errors import RequestIdReused as Refused
from storage.errors import StoreContention, StoreTimeout, StoreUnavailable
from tests.fixtures.examples import examples


class UseCase:
    """Answers ten times the request, in batches that succeed or fail as a whole, and fails on demand."""

    def __init__(
        self,
        *,
        poison: Collection[int] = (),
        refuse: Collection[int] = (),
        collisions: int = 0,
        error: type[Exception] = ValueError,
    ) -> None:
        self.tried: list[list[int]] = []
        self.done: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self._poison = frozenset(poison)
        self._refuse = frozenset(refuse)
        self._collisions = collisions
        self._error = error

    async def __call__(self, asks: Sequence[int]) -> Sequence[int | Refusal]:
        self.tried.append(list(asks))
        await self.open.wait()
        await asyncio.sleep(0)
        if self._collisions:
            self._collisions -= 1
            raise StoreContention
        if self._poison & set(asks):
            raise self._error
        self.done.append(list(asks))
        return [Refused() if ask in self._refuse else ask * 10 for ask in asks]


async def outcome(batcher: Batcher[int, int], ask: int) -> int | str:
    try:
        return await batcher.submit(ask)
    except Exception as error:  # noqa: BLE001 - what it raises is what is looked at
        return type(error).__name__


def submitted(batcher: Batcher[int, int], asks: Sequence[int]) -> "list[asyncio.Task[int | str]]":
    return [asyncio.create_task(outcome(batcher, ask)) for ask in asks]


BEGINS = 12
"""In loop iterations: by then a batch without further requests has started."""


async def turns(count: int) -> None:
    """Runs everything that is ready, without letting time pass."""
    for _ in range(count):
        await asyncio.sleep(0)


async def behind_a_batch(use_case: UseCase, batcher: Batcher[int, int], asks: Sequence[int]) -> list[int | str]:
    """Submits requests while a first batch, with the request 0, is blocked; returns their outcomes."""
    use_case.open.clear()
    first = submitted(batcher, [0])
    await turns(BEGINS)
    others = submitted(batcher, asks)
    await turns(BEGINS)
    use_case.open.set()
    assert await first[0] in (0, "ValueError", "StoreUnavailable", "Contention")
    return list(await asyncio.gather(*others))


moments = st.lists(st.integers(0, 4), max_size=25)


@examples(60)
@given(
    gaps=moments,
    largest=st.integers(1, 8),
    poison=st.sets(st.integers(0, 24), max_size=4),
    refuse=st.sets(st.integers(0, 24), max_size=4),
    collisions=st.integers(0, 4),
)
async def test_every_request_is_answered_exactly_once_and_in_order(
    gaps: list[int], largest: int, poison: set[int], refuse: set[int], collisions: int
) -> None:
    """Whenever they arrive, however large the batches are, and whichever of them fail."""
    use_case = UseCase(poison=poison, refuse=refuse, collisions=collisions)
    batcher = Batcher[int, int](use_case, largest=largest)
    tasks = []
    for ask, gap in enumerate(gaps):
        tasks += submitted(batcher, [ask])
        await turns(gap)
    answers = await asyncio.gather(*tasks)
    assert answers == [
        "ValueError" if ask in poison else "RequestIdReused" if ask in refuse else ask * 10 for ask in range(len(gaps))
    ]
    assert list(chain(*use_case.done)) == [ask for ask in range(len(gaps)) if ask not in poison]
    assert all(0 < len(batch) <= largest for batch in use_case.tried)


@examples(40)
@given(weights=st.lists(st.integers(1, 12), max_size=20), largest=st.integers(1, 10))
async def test_a_batch_does_not_exceed_its_weight_limit(weights: list[int], largest: int) -> None:
    """Except for a single request that is too heavy alone, which gets its own batch."""
    use_case = UseCase()
    batcher = Batcher[int, int](use_case, weigh=lambda ask: weights[ask], largest=largest)
    await asyncio.gather(*submitted(batcher, range(len(weights))))
    for batch in use_case.done:
        assert sum(weights[ask] for ask in batch) <= largest or len(batch) == 1
    assert list(chain(*use_case.done)) == list(range(len(weights)))


async def test_a_single_request_does_not_wait() -> None:
    """It is answered without any time passing."""
    batcher = Batcher[int, int](UseCase())
    task = asyncio.create_task(batcher.submit(7))
    await turns(BEGINS + 5)
    assert task.done()
    assert task.result() == 70


async def test_requests_that_arrive_during_a_batch_are_the_next_batch() -> None:
    """All of them together, and only one batch runs at a time."""
    use_case = UseCase()
    answers = await behind_a_batch(use_case, Batcher(use_case), range(1, 6))
    assert answers == [10, 20, 30, 40, 50]
    assert use_case.tried == [[0], [1, 2, 3, 4, 5]]


async def test_requests_that_arrive_one_per_loop_iteration_are_one_batch() -> None:
    """A batch stays open as long as each iteration brings more."""
    use_case = UseCase()
    batcher = Batcher[int, int](use_case)
    tasks = []
    for ask in range(20):
        tasks += submitted(batcher, [ask])
        await turns(1 + ask % 3)
    await asyncio.gather(*tasks)
    assert use_case.tried == [list(range(20))]


async def test_callers_that_return_after_a_large_batch_form_one_batch_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ones wait for the others, even if no call arrives for a while."""
    monkeypatch.setattr(batching, "_CROWD_WAIT_SECONDS", 0.2)  # longer than another test may block the loop
    use_case = UseCase()
    batcher = Batcher[int, int](use_case)
    await asyncio.gather(*submitted(batcher, range(8)))
    tasks = submitted(batcher, [8, 9])
    await turns(BEGINS)
    tasks += submitted(batcher, range(10, 16))
    await asyncio.gather(*tasks)
    assert use_case.tried == [list(range(8)), list(range(8, 16))]


async def test_callers_that_have_gone_are_not_waited_for_again() -> None:
    """The remaining callers are answered, and from then on without any time passing."""
    use_case = UseCase()
    batcher = Batcher[int, int](use_case)
    await asyncio.gather(*submitted(batcher, range(8)))
    assert await batcher.submit(8) == 80
    task = asyncio.create_task(batcher.submit(9))
    await turns(BEGINS + 5)
    assert task.done()
    assert use_case.tried == [list(range(8)), [8], [9]]


async def test_a_full_batch_does_not_wait() -> None:
    """However many requests follow."""
    use_case = UseCase()
    batcher = Batcher[int, int](use_case, largest=3)
    tasks = submitted(batcher, range(3))
    await turns(3)
    assert use_case.tried == [[0, 1, 2]]
    await asyncio.gather(*tasks)


async def test_a_poisoned_request_fails_alone() -> None:
    """The other requests succeed in the same round, and do not notice it."""
    use_case = UseCase(poison=[3])
    answers = await behind_a_batch(use_case, Batcher(use_case), range(1, 8))
    assert answers == [10, 20, "ValueError", 40, 50, 60, 70]
    assert list(chain(*use_case.done)) == [0, 1, 2, 4, 5, 6, 7]


async def test_a_request_that_takes_too_long_fails_alone() -> None:
    """A statement that times out fails like any other."""
    use_case = UseCase(poison=[2], error=StoreTimeout)
    answers = await behind_a_batch(use_case, Batcher(use_case), range(1, 5))
    assert answers == [10, "StoreTimeout", 30, 40]


async def test_a_refusal_of_one_request_is_an_answer_of_the_batch() -> None:
    """It does not cause a retry."""
    use_case = UseCase(refuse=[2])
    answers = await behind_a_batch(use_case, Batcher(use_case), [1, 2, 3])
    assert answers == [10, "RequestIdReused", 30]
    assert use_case.tried == [[0], [1, 2, 3]]


@pytest.mark.parametrize(("collisions", "expected"), [(4, 70), (5, "Contention")])
async def test_a_batch_that_conflicts_is_tried_five_times(collisions: int, expected: int | str) -> None:
    """Then its callers are told that there was contention, and that they may retry."""
    use_case = UseCase(collisions=collisions)
    batcher = Batcher[int, int](use_case)
    assert await asyncio.gather(*submitted(batcher, [7, 7])) == [expected, expected]
    assert use_case.tried == [[7, 7]] * 5
    assert await batcher.submit(8) == 80


async def test_without_a_store_the_whole_batch_fails_at_once() -> None:
    """Halving a batch would not bring the database back; later requests are tried again."""
    use_case = UseCase(poison=[2], error=StoreUnavailable)
    batcher = Batcher[int, int](use_case)
    assert await behind_a_batch(use_case, batcher, [1, 2, 3]) == ["StoreUnavailable"] * 3
    assert use_case.tried == [[0], [1, 2, 3]]
    assert await batcher.submit(4) == 40


async def test_a_caller_that_gives_up_withdraws_its_waiting_request() -> None:
    """The others are decided without it."""
    use_case = UseCase()
    batcher = Batcher[int, int](use_case)
    use_case.open.clear()
    tasks = submitted(batcher, [0])
    await turns(BEGINS)
    tasks += submitted(batcher, [1, 2, 3])
    await turns(BEGINS)
    tasks[2].cancel()
    use_case.open.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert use_case.tried == [[0], [1, 3]]
    assert [task.result() for task in tasks if not task.cancelled()] == [0, 10, 30]


async def test_a_request_is_decided_once_its_batch_runs() -> None:
    """Even if its caller has gone, the change is made, and the others get their answers."""
    use_case = UseCase()
    batcher = Batcher[int, int](use_case)
    use_case.open.clear()
    tasks = submitted(batcher, [1, 2, 3])
    await turns(BEGINS)
    tasks[0].cancel()
    tasks[1].cancel()
    await turns(BEGINS)
    use_case.open.set()
    assert await tasks[2] == 30
    assert use_case.done == [[1, 2, 3]]


async def test_callers_that_all_give_up_leave_an_idle_batcher() -> None:
    """No empty batch runs, and the next request is answered."""
    use_case = UseCase()
    batcher = Batcher[int, int](use_case)
    use_case.open.clear()
    first = submitted(batcher, [0])
    await turns(BEGINS)
    others = submitted(batcher, [1, 2])
    await turns(BEGINS)
    for task in others:
        task.cancel()
    use_case.open.set()
    await first[0]
    await turns(BEGINS)
    assert await batcher.submit(3) == 30
    assert use_case.tried == [[0], [3]]


async def test_closing_answers_accepted_requests_and_refuses_new_ones() -> None:
    """It returns once the last is answered; a later caller is refused and can use another server."""
    use_case = UseCase()
    batcher = Batcher[int, int](use_case, largest=1)
    use_case.open.clear()
    tasks = submitted(batcher, [1, 2, 3])
    await turns(BEGINS)
    closing = asyncio.create_task(batcher.close())
    await turns(BEGINS)
    with pytest.raises(Stopping):
        await batcher.submit(4)
    assert not closing.done()
    use_case.open.set()
    await closing
    assert [task.result() for task in tasks if task.done()] == [10, 20, 30]
    await batcher.close()


async def test_closing_an_idle_batcher_returns_at_once() -> None:
    """There is nothing to wait for."""
    batcher = Batcher[int, int](UseCase())
    await batcher.close()
    with pytest.raises(Stopping):
        await batcher.submit(1)


async def test_a_use_case_that_returns_too_few_answers_leaves_no_caller_waiting() -> None:
    """Every caller without an answer gets the defect, and the next request is answered."""

    async def forgetful(asks: Sequence[int]) -> Sequence[int]:
        return [ask * 10 for ask in asks][: max(1, len(asks) - 1)]

    batcher = Batcher[int, int](forgetful)
    tasks = submitted(batcher, [1, 2])
    await turns(20)
    answered = [task.done() for task in tasks]
    for task in tasks:
        task.cancel()
    assert answered == [True, True]
    assert await batcher.submit(3) == 30


async def test_contention_is_a_refusal_that_can_be_retried() -> None:
    """It states when to retry."""
    batcher = Batcher[int, int](UseCase(collisions=9))
    with pytest.raises(Contention) as raised:
        await batcher.submit(1)
    assert raised.value.retry_after == 0.1


async def test_a_batch_that_times_out_is_given_up_and_the_next_one_runs() -> None:
    """Its outcome is unknown; no single request is at fault, so it is not halved."""
    use_case = UseCase()
    batcher = Batcher(use_case, longest_seconds=0.1)
    use_case.open.clear()
    stuck = submitted(batcher, [1, 2])
    await turns(BEGINS)
    behind = submitted(batcher, [3])
    assert await asyncio.gather(*stuck) == ["StoreUnavailable", "StoreUnavailable"]
    use_case.open.set()
    assert await asyncio.gather(*behind) == [30]
    assert use_case.tried == [[1, 2], [3]]
    assert use_case.done == [[3]]


async def test_a_batch_that_was_given_up_marks_the_batcher_until_one_succeeds() -> None:
    """So does one that has used half of its time."""
    use_case = UseCase()
    batcher = Batcher(use_case, longest_seconds=0.4)
    use_case.open.clear()
    (stuck,) = submitted(batcher, [1])
    await turns(BEGINS)
    assert not batcher.stuck()
    await asyncio.sleep(0.3)
    assert batcher.stuck()
    assert await stuck == "StoreUnavailable"
    assert batcher.stuck()
    use_case.open.set()
    assert await outcome(batcher, 2) == 20
    assert not batcher.stuck()


async def test_batches_after_one_that_was_given_up_are_smaller_and_grow_again() -> None:
    """It may have been too large for its timeout."""
    use_case = UseCase()
    batcher = Batcher(use_case, largest=4, longest_seconds=0.1)
    use_case.open.clear()
    stuck = submitted(batcher, range(4))
    await asyncio.gather(*stuck)
    use_case.open.set()
    assert await asyncio.gather(*submitted(batcher, range(10, 20))) == [ask * 10 for ask in range(10, 20)]
    assert [len(batch) for batch in use_case.done] == [2, 4, 4]


async def test_a_timeout_error_of_the_use_case_itself_is_handled_like_any_other() -> None:
    """The batch is halved."""
    batcher = Batcher(UseCase(poison={2}, error=TimeoutError))
    assert await asyncio.gather(*submitted(batcher, [1, 2, 3])) == [10, "TimeoutError", 30]
