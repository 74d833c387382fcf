"""Many sign in, stay signed in and sign out at once."""

import asyncio
from collections import Counter

import grpc
import pytest

from backroom.identity.v1 import identity_service_pb2
from server.frame.caller import Caller
from server.identity.errors import CredentialsInvalid
from server.identity.passwords import Passwords
from server.identity.service import Sessions
from server.wiring import Identity, build_identity
from storage.database import Database
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.processes import Pair
from tests.fixtures.servers import Api, Running, refused
from tests.identity.people import (
    NEW_PASSWORD,
    PASSWORD,
    Clock,
    changing,
    kept,
    logged_in,
    outcome,
    refreshed,
    registered,
    registering,
    running,
)


async def test_one_refresh_token_sent_many_times_at_once_is_rotated_once(server: Running) -> None:
    """Every copy gets the one next token, and the session goes on with it."""
    await registered(server.anonymous)
    for _ in range(3):
        tokens = await logged_in(server.anonymous)
        answers = await asyncio.gather(*(refreshed(server.anonymous, tokens.refresh_token) for _ in range(12)))
        assert len({answer.refresh_token for answer in answers}) == 1
        assert (await refreshed(server.anonymous, answers[0].refresh_token)).access_token


async def test_two_servers_rotate_one_refresh_token_once(pair: Pair) -> None:
    """They share the keys and the session, so that it does not matter which of them is asked."""
    apis = [Api(channel) for channel in pair.channels]
    await registered(apis[0])
    tokens = await logged_in(apis[1])
    for _ in range(3):
        copies = (refreshed(apis[place % 2], tokens.refresh_token) for place in range(16))
        answers = await asyncio.gather(*copies)
        assert len({answer.refresh_token for answer in answers}) == 1
        tokens = answers[0]
    for channel in pair.channels:
        me = await Api(channel, tokens.access_token).identity.GetMe(identity_service_pb2.GetMeRequest())
        assert me.user.email == "ada@example.com"


async def test_a_thief_and_the_owner_at_once_end_the_session_for_both(database: Database) -> None:
    """An old token among copies of the newest: whoever comes first, nobody goes on afterwards."""
    clock = Clock()
    async with running(database, clock) as server:
        await registered(server.anonymous)
        old = await logged_in(server.anonymous)
        newest = await refreshed(server.anonymous, old.refresh_token)
        clock.advance(minutes=1)
        sent = [newest.refresh_token, old.refresh_token] * 4
        outcomes = await asyncio.gather(*(_next(server.anonymous, token) for token in sent))
        assert {outcome for outcome, token in zip(outcomes, sent, strict=True) if token == old.refresh_token} == {None}
        for token in {outcome for outcome in outcomes if outcome} | {newest.refresh_token}:
            assert await _next(server.anonymous, token) is None


async def _next(api: Api, token: str) -> str | None:
    try:
        return (await refreshed(api, token)).refresh_token
    except grpc.aio.AioRpcError as error:
        assert refused(error).reason == "CREDENTIALS_INVALID"  # noqa: PT017 - being refused is one of the outcomes
        return None


async def test_signing_out_while_refreshing_ends_the_session(server: Running) -> None:
    """Whichever comes first: no token of the session goes on afterwards."""
    await registered(server.anonymous)
    for _ in range(4):
        tokens = await logged_in(server.anonymous)
        leaving = identity_service_pb2.LogoutRequest(refresh_token=tokens.refresh_token)
        answers = await asyncio.gather(
            _next(server.anonymous, tokens.refresh_token),
            server.anonymous.identity.Logout(leaving),
            _next(server.anonymous, tokens.refresh_token),
        )
        for token in {tokens.refresh_token, answers[0], answers[2]} - {None}:
            assert await _next(server.anonymous, str(token)) is None


async def test_of_two_changes_of_one_password_at_once_one_is_made(server: Running) -> None:
    """The other's current password is no longer the current one."""
    await registered(server.anonymous)
    tokens = await logged_in(server.anonymous)
    ada = Api(server.channel, tokens.access_token)
    changes = [changing(new=f"a new password {place}") for place in range(4)]
    outcomes = await asyncio.gather(*(outcome(ada.identity.ChangePassword(change)) for change in changes))
    assert Counter(outcomes) == {"done": 1, "CREDENTIALS_INVALID": 3}
    winner = changes[outcomes.index("done")].new_password
    assert (await logged_in(server.anonymous, password=winner)).access_token
    assert await _next(server.anonymous, tokens.refresh_token) is None


async def test_a_change_of_password_sent_many_times_at_once_is_made_once(server: Running) -> None:
    """Copies of one request are all answered as the first, although the current password is then another."""
    await registered(server.anonymous)
    ada = Api(server.channel, (await logged_in(server.anonymous)).access_token)
    request = changing()
    outcomes = await asyncio.gather(*(outcome(ada.identity.ChangePassword(request)) for _ in range(4)))
    assert outcomes == ["done"] * 4
    assert (await logged_in(server.anonymous, password=NEW_PASSWORD)).access_token


class Overtaken(Passwords):
    """Right after the old password was found to fit, its owner changes it."""

    def __init__(self, identity: Identity, owner: Caller) -> None:
        super().__init__()
        self._identity = identity
        self._owner = owner

    async def verify(self, password: str, password_hash: str | None) -> bool:
        fits = await super().verify(password, password_hash)
        await self._identity.accounts.change_password(self._owner, PASSWORD, NEW_PASSWORD, None)
        return fits


async def test_a_login_overtaken_by_a_change_of_password_leaves_no_session(database: Database) -> None:
    """Who knows only the old password is signed out by its change, even while signing in."""
    identity = build_identity(database, MASTER_KEYS)
    ada = await identity.accounts.register("ada@example.com", PASSWORD, "Ada", None)
    passwords = Overtaken(identity, Caller(ada.id, frozenset()))
    now, new_id = identity.sessions._now, identity.sessions._new_id
    sessions = Sessions(database, passwords, identity.tokens, identity.secrets, now, new_id)
    try:
        refresh_token = (await sessions.login("ada@example.com", PASSWORD)).refresh_token
    except CredentialsInvalid:
        return
    finally:
        passwords.close()
        identity.passwords.close()
    with pytest.raises(CredentialsInvalid):
        await identity.sessions.refresh(refresh_token)


async def test_of_many_that_register_one_address_at_once_one_gets_it(server: Running) -> None:
    """However they write it, and the others are told that it is taken."""
    emails = ["ada@example.com", "ADA@example.com", "Ada@Example.com", "ada@EXAMPLE.com"] * 2
    calls = (outcome(server.anonymous.identity.Register(registering(email))) for email in emails)
    assert Counter(await asyncio.gather(*calls)) == {"done": 1, "EMAIL_TAKEN": 7}
    assert (await kept(server.database, "identity.accounts")).count("ada@example.com") == 1


async def test_a_registration_sent_many_times_at_once_registers_one_user(server: Running) -> None:
    """Every copy of the request is answered with the same user."""
    request = registering()
    answers = await asyncio.gather(*(server.anonymous.identity.Register(request) for _ in range(8)))
    assert len({answer.user.user_id for answer in answers}) == 1
    assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1
