"""Login and Logout, over the wire."""

from datetime import UTC, timedelta

import grpc

from backroom.identity.v1 import identity_service_pb2
from server.identity.rules.sessions import ACCESS_TOKEN_LIFE, SESSION_LIFE
from storage.identity.store import IDENTITY
from tests.fixtures.servers import Api, Running, refusal
from tests.identity.people import (
    Clock,
    kept,
    logged_in,
    logging_in,
    me,
    refreshed,
    refreshing,
    registered,
    robot,
)


def leaving(refresh_token: str) -> identity_service_pb2.LogoutRequest:
    return identity_service_pb2.LogoutRequest(refresh_token=refresh_token)


async def test_a_person_signs_in(timed: Running, clock: Clock) -> None:
    """The tokens live as long as the contract says, and stand for the person."""
    user = await registered(timed.anonymous)
    tokens = await logged_in(timed.anonymous)
    access_end = tokens.access_token_expire_time.ToDatetime(UTC)
    assert timedelta(0) <= clock() + ACCESS_TOKEN_LIFE - access_end < timedelta(seconds=1)
    assert tokens.refresh_token_expire_time.ToDatetime(UTC) == clock() + SESSION_LIFE
    assert (await me(Api(timed.channel, tokens.access_token))).user.user_id == user.user_id


async def test_an_address_is_known_in_any_case(server: Running) -> None:
    """What signs a person in is the address, not how it is written."""
    await registered(server.anonymous)
    for written in ("ADA@example.com", " ada@Example.COM "):
        assert (await logged_in(server.anonymous, written)).access_token


async def test_each_login_opens_a_session_of_its_own(server: Running) -> None:
    """Ending one leaves the other."""
    await registered(server.anonymous)
    phone, laptop = await logged_in(server.anonymous), await logged_in(server.anonymous)
    assert phone.refresh_token != laptop.refresh_token
    await server.anonymous.identity.Logout(leaving(phone.refresh_token))
    assert (await refreshed(server.anonymous, laptop.refresh_token)).access_token


async def test_a_service_cannot_log_in(server: Running) -> None:
    """An account without an address is not found by an empty one, nor by its name."""
    async with server.database.store(IDENTITY).transaction() as tx:
        assert await tx.accounts.add(robot("till", "service"))
    for email in ("till", "None", "null"):
        assert (await refusal(server.anonymous.identity.Login(logging_in(email)))).reason == "CREDENTIALS_INVALID"
    refused = await refusal(server.anonymous.identity.Login(logging_in("")))
    assert (refused.reason, list(refused.fields)) == ("FIELD_INVALID", ["email"])


async def test_sessions_and_tokens_are_not_stored_as_they_are_sent(server: Running) -> None:
    """Who reads the database cannot take over a session from the sessions' table alone."""
    await registered(server.anonymous)
    tokens = await logged_in(server.anonymous)
    sessions = await kept(server.database, "identity.sessions")
    assert tokens.refresh_token.removeprefix("brr_") not in sessions
    assert tokens.access_token not in sessions


async def test_signing_out_ends_the_session(server: Running) -> None:
    """Its refresh token is used up, and repeating the call is answered alike."""
    await registered(server.anonymous)
    tokens = await logged_in(server.anonymous)
    for _ in range(2):
        await server.anonymous.identity.Logout(leaving(tokens.refresh_token))
    refused = await refusal(server.anonymous.identity.Refresh(refreshing(tokens.refresh_token)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")


async def test_signing_out_with_an_older_token_ends_the_session(server: Running) -> None:
    """Any genuine token of the session will do, so that a lost answer keeps nobody signed in."""
    await registered(server.anonymous)
    first = await logged_in(server.anonymous)
    second = await refreshed(server.anonymous, first.refresh_token)
    await server.anonymous.identity.Logout(leaving(first.refresh_token))
    assert (await refusal(server.anonymous.identity.Refresh(refreshing(second.refresh_token)))).reason == (
        "CREDENTIALS_INVALID"
    )


async def test_signing_out_with_an_unknown_token_reveals_nothing(server: Running) -> None:
    """It is answered as a known one is, and ends nobody's session."""
    await registered(server.anonymous)
    tokens = await logged_in(server.anonymous)
    for token in ("x", "brr_", "brr_" + "A" * 70, "é"):
        await server.anonymous.identity.Logout(leaving(token))
    assert (await refreshed(server.anonymous, tokens.refresh_token)).access_token


async def test_an_expired_token_keeps_nobody_from_signing_in(timed: Running, clock: Clock) -> None:
    """A public method ignores whatever token is sent along."""
    await registered(timed.anonymous)
    stale = await logged_in(timed.anonymous)
    clock.advance(hours=1)
    for token in (stale.access_token, "garbage"):
        assert (await logged_in(Api(timed.channel, token))).access_token
