"""Backpressure: what is in flight is bounded, and a sender learns of it."""

import asyncio

import pytest

from server.events.service.ingesting import Ingesting, Room
from server.frame.errors import Overloaded
from tests.events.calling import event, outcomes, verdicts
from tests.fixtures.servers import Api, Running, refusal


def ingesting_of(server: Running) -> Ingesting:
    """The one that serves the calls."""
    (found,) = {
        each.servicer._ingesting for each in server.application.services if hasattr(each.servicer, "_ingesting")
    }
    assert isinstance(found, Ingesting)
    return found


async def test_a_call_is_refused_while_too_much_is_in_flight(own_server: Running) -> None:
    """With the time after which to try again; as soon as there is room, it passes."""
    api: Api = await own_server.sign_in("service")
    room = ingesting_of(own_server)._room
    with room.taken(2**40):
        found = await refusal(verdicts(api, event()))
    assert (found.reason, bool(found.retry_after)) == ("OVERLOADED", True)
    assert await outcomes(api, event()) == ["stored"]


async def test_whoever_waits_for_room_gets_it_in_the_end() -> None:
    """Or is refused, where there is none for long."""
    room = Room(10)
    await room.wait(0.0)
    with room.taken(10):
        with pytest.raises(Overloaded):
            room.check()
        with pytest.raises(Overloaded):
            await room.wait(0.01)
        waiting = asyncio.create_task(room.wait(60))
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting
    room.check()


async def test_what_is_taken_may_exceed_the_room_once() -> None:
    """A message is taken as a whole, and what is freed is counted as a whole."""
    room = Room(10)
    with room.taken(15), room.taken(1), pytest.raises(Overloaded):
        room.check()
    room.check()
