"""What is booked at random keeps its promises; tests/races has the crowd."""

from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.bookings.playing import OPERATIONS, Play, broken_laws
from tests.fixtures.servers import Running


@settings(max_examples=4, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(rounds=st.lists(st.lists(OPERATIONS, min_size=1, max_size=4), min_size=1, max_size=8))
async def test_nothing_overlaps_and_nothing_is_refused_that_would_have_fitted(
    server: Running, database_url: str, rounds: Sequence[Sequence[Any]]
) -> None:
    """One caller and several, by whatever each finds there."""
    play = await Play.begun([await server.sign_in("service") for _ in range(4)])
    for operations in rounds:
        await play.round(operations)
    assert broken_laws(database_url) == {}
    server.log.clear()  # hypothesis writes out what an example is given
