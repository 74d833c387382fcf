"""Concurrent sign-ins, refreshes and sign-outs."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from backroom.identity.v1 import identity_service_pb2
from server.frame.caller import Caller
from server.identity.credentials.passwords import Match
from server.identity.errors import CredentialsInvalid
from storage.database import Database
from storage.frame.records import NOBODY, ChangeContext
from tests.fixtures.processes import Pair
from tests.fixtures.servers import Api, Running
from tests.identity.people import (
    NEW_PASSWORD,
    PASSWORD,
    Clock,
    changing,
    kept,
    logged_in,
    me,
    outcome,
    refreshed,
    registered,
    running,
)
from tests.identity.sessions import Begun, begun, next_token


async def started(server: Running, now: datetime | None = None) -> Begun:
    return await begun(server.application, server.channel, "customer", now=now)


async def test_concurrent_copies_of_a_refresh_token_are_rotated_once(server: Running) -> None:
    """Every copy gets the same next token, and the session continues with it."""
    for _ in range(3):
        token = (await started(server)).refresh_token
        answers = await asyncio.gather(*(refreshed(server.anonymous, token) for _ in range(12)))
        assert len({answer.refresh_token for answer in answers}) == 1
        assert (await refreshed(server.anonymous, answers[0].refresh_token)).access_token


async def test_two_servers_rotate_one_refresh_token_once(pair: Pair) -> None:
    """They share the keys and the session, so it does not matter which of them is called."""
    apis = [Api(channel) for channel in pair.channels]
    person = await begun(pair.application, pair.channels[0], "customer")
    token = person.refresh_token
    for _ in range(3):
        answers = await asyncio.gather(*(refreshed(apis[place % 2], token) for place in range(16)))
        assert len({answer.refresh_token for answer in answers}) == 1
        token = answers[0].refresh_token
        for channel in pair.channels:
            assert (await me(Api(channel, answers[-1].access_token))).user.user_id == str(person.api.account_id)


FAMILIES = [20, pytest.param(500, marks=pytest.mark.proof)]
_AT_ONCE = 20


@pytest.mark.parametrize("families", FAMILIES)
async def test_every_reuse_of_a_refresh_token_ends_its_session(database: Database, families: int) -> None:
    """None of its refresh tokens and access tokens is valid any more; other sessions continue."""
    clock = Clock()
    async with running(database, clock) as server:
        spared = await started(server, clock())
        stolen = [await started(server, clock()) for _ in range(families)]
        newest = [await refreshed(server.anonymous, each.refresh_token) for each in stolen]
        clock.advance(seconds=11)

        async def reuse(place: int) -> bool:
            tokens = (stolen[place].refresh_token, newest[place].refresh_token)
            return [await next_token(server.anonymous, token) for token in tokens] == [None, None]

        assert await at_once(reuse, families) == Counter({True: families})
        await server.application.identity.access_cache.poll()

        async def out(place: int) -> bool:
            apis = (stolen[place].api, Api(server.channel, newest[place].access_token))
            return [await outcome(me(api)) for api in apis] == ["TOKEN_INVALID"] * 2

        assert await at_once(out, families) == Counter({True: families})
        assert await outcome(me(spared.api)) == "done"
        assert await next_token(server.anonymous, spared.refresh_token) is not None
        assert (await kept(database, "frame.audit_entries")).count('"REUSED"') == families
        live = (await kept(database, "identity.sessions")).count('"end_time":null')
        assert live == 1


@pytest.mark.parametrize("families", FAMILIES)
async def test_concurrent_pairs_of_a_refresh_token_do_not_end_the_session(pair: Pair, families: int) -> None:
    """Two servers return the same token, with which the session continues."""
    apis = [Api(channel) for channel in pair.channels]
    people = [await begun(pair.application, pair.channels[0], "customer") for _ in range(families)]

    async def honest(place: int) -> bool:
        token = people[place].refresh_token
        answers = await asyncio.gather(*(refreshed(api, token) for api in apis))
        following = await asyncio.gather(*(refreshed(api, answers[0].refresh_token) for api in apis))
        calls = [outcome(me(Api(pair.channels[0], each.access_token))) for each in (*answers, *following)]
        same = all(len({each.refresh_token for each in some}) == 1 for some in (answers, following))
        return same and await asyncio.gather(*calls) == ["done"] * 4

    assert await at_once(honest, families) == Counter({True: families})
    text = await kept(pair.database, "identity.sessions")
    assert text.count('"end_time":null') == text.count('"generation":2') == families
    assert '"REUSED"' not in await kept(pair.database, "frame.audit_entries")


async def at_once(act: Callable[[int], Awaitable[bool]], count: int) -> Counter[bool]:
    """Runs the action for each place, with bounded concurrency."""
    found: Counter[bool] = Counter()
    for first in range(0, count, _AT_ONCE):
        found.update(await asyncio.gather(*(act(place) for place in range(first, min(first + _AT_ONCE, count)))))
    return found


async def test_a_thief_and_the_owner_at_once_end_the_session_for_both(database: Database) -> None:
    """An old token among copies of the newest: whichever comes first, none is valid afterwards."""
    clock = Clock()
    async with running(database, clock) as server:
        old = (await started(server, clock())).refresh_token
        newest = (await refreshed(server.anonymous, old)).refresh_token
        clock.advance(minutes=1)
        sent = [newest, old] * 4
        outcomes = await asyncio.gather(*(next_token(server.anonymous, token) for token in sent))
        assert {outcome for outcome, token in zip(outcomes, sent, strict=True) if token == old} == {None}
        for token in {outcome for outcome in outcomes if outcome} | {newest}:
            assert await next_token(server.anonymous, token) is None


async def test_signing_out_while_refreshing_ends_the_session(server: Running) -> None:
    """Whichever comes first: no token of the session is valid afterwards."""
    for _ in range(4):
        token = (await started(server)).refresh_token
        answers = await asyncio.gather(
            next_token(server.anonymous, token),
            server.anonymous.identity.Logout(identity_service_pb2.LogoutRequest(refresh_token=token)),
            next_token(server.anonymous, token),
        )
        for each in {token, answers[0], answers[2]} - {None}:
            assert await next_token(server.anonymous, str(each)) is None


async def test_of_two_concurrent_changes_of_one_password_one_succeeds(server: Running) -> None:
    """The other's current password is no longer the current one."""
    await registered(server.anonymous)
    tokens = await logged_in(server.anonymous)
    ada = Api(server.channel, tokens.access_token)
    changes = [changing(new=f"a new password {place}") for place in range(4)]
    outcomes = await asyncio.gather(*(outcome(ada.identity.ChangePassword(change)) for change in changes))
    # Whoever is so late that the first has ended the session already is told that.
    assert outcomes.count("done") == 1
    assert {*outcomes} <= {"done", "CREDENTIALS_INVALID", "TOKEN_INVALID"}
    winner = changes[outcomes.index("done")].new_password
    assert (await logged_in(server.anonymous, password=winner)).access_token
    assert await next_token(server.anonymous, tokens.refresh_token) is None


async def test_concurrent_copies_of_a_change_of_password_are_done_once(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They all get the first answer, although the current password is then another."""
    await registered(server.anonymous)
    ada = Api(server.channel, (await logged_in(server.anonymous)).access_token)
    request, together = changing(), asyncio.Barrier(4)
    passwords = server.application.identity.passwords
    verify = passwords.verify

    async def verified(password: str, known: str | None) -> Match:
        """Once all copies have got so far: the first that is done ends the session of those that come later."""
        await together.wait()
        return await verify(password, known)

    monkeypatch.setattr(passwords, "verify", verified)
    outcomes = await asyncio.gather(*(outcome(ada.identity.ChangePassword(request)) for _ in range(4)))
    assert outcomes == ["done"] * 4
    monkeypatch.undo()
    assert (await logged_in(server.anonymous, password=NEW_PASSWORD)).access_token


async def test_a_login_overtaken_by_a_change_of_password_leaves_no_session(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller that has only the old password is signed out by its change, even while signing in."""
    identity = server.application.identity
    user = await registered(server.anonymous)
    owner = Caller(UUID(user.user_id), frozenset())
    verify = identity.passwords.verify

    async def overtaken(password: str, known: str | None) -> Match:
        """Right after the old password was checked, its owner changes it."""
        fits = await verify(password, known)
        monkeypatch.setattr(identity.passwords, "verify", verify)
        await identity.accounts.change_password(owner, PASSWORD, NEW_PASSWORD, asked(owner.account_id))
        return fits

    monkeypatch.setattr(identity.passwords, "verify", overtaken)
    with pytest.raises(CredentialsInvalid):
        await identity.signing_in.login("ada@example.com", PASSWORD, "", asked(NOBODY))
    assert '"end_time":null' not in await kept(server.database, "identity.sessions")


def asked(caller_id: UUID) -> ChangeContext:
    return ChangeContext(caller_id, "test", datetime.now(UTC), "127.0.0.1")
