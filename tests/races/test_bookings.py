"""A crowd wants the same hour, or whatever there is."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.bookings.calling import ahead, ask, made
from tests.bookings.playing import OPERATIONS, Play, broken_laws
from tests.fixtures.processes import Pair
from tests.fixtures.servers import Api, Running, refused

_CALLERS = 500
_ROUNDS, _AT_ONCE, _PLAYS = 8, 16, 88
"""Together 11,264 operations; some of them find no booking to change, and the others are more than 10,000 calls."""
_FEW_PLAYS = 4
_ROUND = st.lists(OPERATIONS, min_size=_AT_ONCE, max_size=_AT_ONCE)
_PLAY = st.lists(_ROUND, min_size=_ROUNDS, max_size=_ROUNDS)


async def outcome(api: Api, room: str, **rest: int) -> str:
    try:
        await api.bookings.Book(ask(room, at=ahead(), **rest))
    except grpc.aio.AioRpcError as error:
        return refused(error).reason
    return "booked"


async def outcomes(apis: Sequence[Api], room: str) -> Counter[str]:
    """How so many calls ended; every other one asks for a lease."""
    calls = (
        outcome(api, room, lease_seconds=600 * (place % 2)) for place, api in enumerate(islice(cycle(apis), _CALLERS))
    )
    return Counter(await asyncio.gather(*calls))


async def test_one_server_books_an_hour_once(server: Running, service: Api) -> None:
    """500 callers for the same hour: one has it, and each other one is told that it is taken."""
    room = await made(service)
    # Customers on one machine have a share of the server's calls, which so many would exceed.
    callers = [await server.sign_in("service") for _ in range(50)]
    assert await outcomes(callers, room) == {"booked": 1, "ALREADY_BOOKED": _CALLERS - 1}


async def test_two_servers_book_an_hour_once(pair: Pair) -> None:
    """The same over two servers on one database."""
    callers = [api for _ in range(25) for api in await pair.sign_in("service")]
    room = await made(callers[0])
    assert await outcomes(callers, room) == {"booked": 1, "ALREADY_BOOKED": _CALLERS - 1}


@settings(max_examples=_FEW_PLAYS, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(rounds=_PLAY)
async def test_what_16_callers_do_at_random_never_overlaps(pair: Pair, rounds: Sequence[Sequence[Any]]) -> None:
    """Bookings, leases, series in any order of their resources, moves and cancellations, over two servers.

    No caller sees a deadlock, and nothing is refused that would have fitted.
    """
    await play(pair, rounds)


@pytest.fixture
def figures() -> Iterator[Counter[str]]:
    """How the operations of all plays of a test ended, which is printed."""
    counted: Counter[str] = Counter()
    yield counted
    print(f"{counted.total():,} operations: {dict(sorted(counted.items()))}")  # noqa: T201 - a proof's figures


@pytest.mark.proof
@settings(max_examples=_PLAYS, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(rounds=_PLAY)
async def test_10_000_operations_at_random_never_overlap(
    pair: Pair, figures: Counter[str], rounds: Sequence[Sequence[Any]]
) -> None:
    """The same, for longer."""
    figures.update(await play(pair, rounds))


async def play(pair: Pair, rounds: Sequence[Sequence[Any]]) -> Counter[str]:
    apis = [api for _ in range(_AT_ONCE // 2) for api in await pair.sign_in("service")]
    begun = await Play.begun(apis)
    for operations in rounds:
        await begun.round(operations)
    assert broken_laws(pair.url) == {}
    return begun.outcomes
