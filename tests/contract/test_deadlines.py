"""Every call ends, and none continues after its caller has gone."""

import asyncio

import grpc
import pytest

from server.frame.interceptors import MAX_CALL_SECONDS
from server.frame.interceptors.deadline import Deadline
from tests.contract.stand_ins import Slow, get_me, line_of
from tests.fixtures.servers import Api, Running, refused

SOON = 20.0
"""In seconds: less than the server's own deadline, which ends every call."""


@pytest.fixture
def slow(server: Running, monkeypatch: pytest.MonkeyPatch) -> Slow:
    """Replaces GetMe's use case with one that never ends."""
    stand_in = Slow()
    monkeypatch.setattr(server.application.identity.accounts, "get", stand_in)
    return stand_in


def deadline_of(server: Running) -> Deadline:
    return next(each for each in server.application.chain.interceptors if isinstance(each, Deadline))


async def test_the_server_ends_a_call_by_its_own_deadline(
    server: Running, admin: Api, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller with a later deadline, or none, gets a refusal with a reason, and the work is stopped."""
    monkeypatch.setattr(deadline_of(server), "_seconds", 0.05)
    for timeout in (60, None):
        server.log.clear()
        slow.stopped.clear()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await get_me(admin, timeout=timeout)
        found = refused(raised.value)
        assert (found.code, found.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
        assert slow.stopped.is_set()
        assert (await line_of(server, grpc.StatusCode.DEADLINE_EXCEEDED))["reason"] == "DEADLINE_EXCEEDED"


async def test_the_server_has_a_deadline(server: Running) -> None:
    """It applies to a caller that sends none."""
    assert deadline_of(server)._seconds == MAX_CALL_SECONDS == 30


async def test_a_callers_nearer_deadline_stops_the_work(server: Running, admin: Api, slow: Slow) -> None:
    """The caller is answered in time, and no work continues for it."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await get_me(admin, timeout=1)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(SOON):
        await slow.stopped.wait()
        await server.application.in_flight.idle()
    assert len(server.log) == 1
    assert server.log[0]["code"] in {"DEADLINE_EXCEEDED", "CANCELLED"}


async def test_the_work_stops_when_the_caller_disconnects(server: Running, admin: Api, slow: Slow) -> None:
    """The call ends as CANCELLED, with one log line, and does not stay in flight."""
    call = get_me(admin)
    await asyncio.wait_for(slow.began.wait(), 300)
    call.cancel()
    async with asyncio.timeout(SOON):
        await slow.stopped.wait()
        await server.application.in_flight.idle()
    assert (await line_of(server, grpc.StatusCode.CANCELLED))["caller"] == str(admin.account_id)
