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
    """The tokens are valid as long as the contract says, for that person."""
    user = await registered(timed.anonymous)
    tokens = await logged_in(timed.anonymous)
    access_end = tokens.access_token_expire_time.ToDatetime(UTC)
    assert timedelta(0) <= clock() + ACCESS_TOKEN_LIFE - access_end < timedelta(seconds=1)
    assert tokens.refresh_token_expire_time.ToDatetime(UTC) == clock() + SESSION_LIFE
    assert (await me(Api(timed.channel, tokens.access_token))).user.user_id == user.user_id


async def test_an_address_is_accepted_in_any_case(server: Running) -> None:
    """The address signs a person in, not how it is written."""
    await registered(server.anonymous)
    for written in ("ADA@example.com", " ada@Example.COM "):
        assert (await logged_in(server.anonymous, written)).access_token


async def test_each_login_opens_a_separate_session(server: Running) -> None:
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


async def test_session_tokens_are_not_stored_in_the_clear(server: Running) -> None:
    """The sessions' table alone does not suffice to take over a session."""
    await registered(server.anonymous)
    tokens = await logged_in(server.anonymous)
    sessions = await kept(server.database, "identity.sessions")
    assert tokens.refresh_token.removeprefix("brr_") not in sessions
    assert tokens.access_token not in sessions


async def test_signing_out_ends_the_session(server: Running) -> None:
    """Its refresh token is used up, and a repeated call gets the same answer."""
    await registered(server.anonymous)
    tokens = await logged_in(server.anonymous)
    for _ in range(2):
        await server.anonymous.identity.Logout(leaving(tokens.refresh_token))
    refused = await refusal(server.anonymous.identity.Refresh(refreshing(tokens.refresh_token)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")


async def test_signing_out_with_an_older_token_ends_the_session(server: Running) -> None:
    """Any genuine token of the session works, so that a lost answer keeps nobody signed in."""
    await registered(server.anonymous)
    first = await logged_in(server.anonymous)
    second = await refreshed(server.anonymous, first.refresh_token)
    await server.anonymous.identity.Logout(leaving(first.refresh_token))
    assert (await refusal(server.anonymous.identity.Refresh(refreshing(second.refresh_token)))).reason == (
        "CREDENTIALS_INVALID"
    )


async def test_signing_out_with_an_unknown_token_reveals_nothing(server: Running) -> None:
    """It gets the same answer as a known one, and ends no session."""
    await registered(server.anonymous)
    tokens = await logged_in(server.anonymous)
    for token in ("x", "brr_", "brr_" + "A" * 70, "é"):
        await server.anonymous.identity.Logout(leaving(token))
    assert (await refreshed(server.anonymous, tokens.refresh_token)).access_token


async def test_an_expired_token_does_not_prevent_signing_in(timed: Running, clock: Clock) -> None:
    """A public method ignores whatever token is sent."""
    await registered(timed.anonymous)
    stale = await logged_in(timed.anonymous)
    clock.advance(hours=1)
    for token in (stale.access_token, "garbage"):
        assert (await logged_in(Api(timed.channel, token))).access_token
