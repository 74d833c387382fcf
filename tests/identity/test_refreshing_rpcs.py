"""Refresh, over the wire."""

from datetime import UTC

import grpc

from server.identity.rules import SESSION_LIFE
from tests.fixtures.servers import Api, Running, refusal, refused
from tests.identity.people import Clock, execute, logged_in, me, refreshed, refreshing, registered


async def ended(api: Api, refresh_token: str) -> bool:
    """Whether a refresh token is refused, as every one is that signs nobody in."""
    try:
        await refreshed(api, refresh_token)
    except grpc.aio.AioRpcError as error:
        return (error.code(), refused(error).reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
    return False


async def test_refreshing_rotates_the_token(timed: Running, clock: Clock) -> None:
    """Each answer holds a new refresh token of the same session, and a working access token."""
    user = await registered(timed.anonymous)
    begun = clock()
    tokens = [await logged_in(timed.anonymous)]
    for _ in range(3):
        clock.advance(minutes=20)
        tokens.append(await refreshed(timed.anonymous, tokens[-1].refresh_token))
        assert (await me(Api(timed.channel, tokens[-1].access_token))).user == user
    assert len({each.refresh_token for each in tokens}) == 4
    assert {each.refresh_token_expire_time.ToDatetime(UTC) for each in tokens} == {begun + SESSION_LIFE}


async def test_a_refresh_repeated_at_once_gets_the_same_refresh_token(timed: Running, clock: Clock) -> None:
    """A lost answer loses no session: for ten seconds the token just used is answered again."""
    await registered(timed.anonymous)
    first = await logged_in(timed.anonymous)
    second = await refreshed(timed.anonymous, first.refresh_token)
    for seconds in (0, 5, 5):
        clock.advance(seconds=seconds)
        again = await refreshed(timed.anonymous, first.refresh_token)
        assert again.refresh_token == second.refresh_token
    assert not await ended(timed.anonymous, second.refresh_token)


async def test_a_token_used_again_later_ends_the_session(timed: Running, clock: Clock) -> None:
    """Two hold it: neither the thief's token nor the newest goes on."""
    await registered(timed.anonymous)
    first = await logged_in(timed.anonymous)
    second = await refreshed(timed.anonymous, first.refresh_token)
    clock.advance(seconds=10, microseconds=1)
    assert await ended(timed.anonymous, first.refresh_token)
    assert await ended(timed.anonymous, second.refresh_token)


async def test_a_token_older_than_the_last_two_ends_the_session_even_at_once(timed: Running) -> None:
    """The ten seconds are for the token just used, and for no other."""
    await registered(timed.anonymous)
    first = await logged_in(timed.anonymous)
    second = await refreshed(timed.anonymous, first.refresh_token)
    third = await refreshed(timed.anonymous, second.refresh_token)
    assert await ended(timed.anonymous, first.refresh_token)
    assert await ended(timed.anonymous, third.refresh_token)


async def test_a_theft_ends_one_session_alone(timed: Running, clock: Clock) -> None:
    """The person's other sessions go on."""
    await registered(timed.anonymous)
    stolen, other = await logged_in(timed.anonymous), await logged_in(timed.anonymous)
    await refreshed(timed.anonymous, stolen.refresh_token)
    clock.advance(minutes=1)
    assert await ended(timed.anonymous, stolen.refresh_token)
    assert not await ended(timed.anonymous, other.refresh_token)


async def test_a_session_ends_thirty_days_after_login(timed: Running, clock: Clock) -> None:
    """However often it is refreshed, and to the microsecond."""
    await registered(timed.anonymous)
    tokens = await logged_in(timed.anonymous)
    for _ in range(2):
        clock.advance(days=14)
        tokens = await refreshed(timed.anonymous, tokens.refresh_token)
    clock.advance(days=2, microseconds=-1)
    tokens = await refreshed(timed.anonymous, tokens.refresh_token)
    clock.advance(microseconds=1)
    assert await ended(timed.anonymous, tokens.refresh_token)


async def test_a_refreshed_access_token_has_the_roles_of_now(timed: Running) -> None:
    """What was granted since the login counts from the next token on."""
    user = await registered(timed.anonymous)
    tokens = await logged_in(timed.anonymous)
    await execute(
        timed.database,
        "INSERT INTO identity.role_grants VALUES (CAST(:id AS uuid), 'staff', now())",
        id=user.user_id,
    )
    renewed = await refreshed(timed.anonymous, tokens.refresh_token)
    before = await timed.application.identity.tokens.caller_of(tokens.access_token)
    after = await timed.application.identity.tokens.caller_of(renewed.access_token)
    assert not before.may("orders.read_all")
    assert after.may("orders.read_all")


async def test_no_other_token_goes_on_with_a_session(server: Running) -> None:
    """Forged, truncated, garbled, other-prefixed and made-up tokens are refused with one text, and end nothing."""
    await registered(server.anonymous)
    tokens = await logged_in(server.anonymous)
    genuine = tokens.refresh_token
    bare = genuine.removeprefix("brr_")
    unknown = "brr_" + "A" * len(bare)
    flipped = genuine[:-5] + ("B" if genuine[-5] == "A" else "A") + genuine[-4:]
    longer = genuine + "AAAA"
    others = (unknown, flipped, genuine[:-4], genuine[4:-4], longer, f"brk_{bare}", "brr_", "garbage", "é", "☃" * 50)
    for token in (*others, tokens.access_token[:200]):
        assert await ended(server.anonymous, token), token
    assert not await ended(server.anonymous, genuine)


async def test_a_refusal_says_what_is_expected_and_not_what_was_wrong(server: Running) -> None:
    """A token out of the contract's bounds is named by its field, and any other is not explained."""
    for token in ("", "x" * 201):
        answer = await refusal(server.anonymous.identity.Refresh(refreshing(token)))
        assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
        assert list(answer.fields) == ["refresh_token"]
    answer = await refusal(server.anonymous.identity.Refresh(refreshing("garbage")))
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
    assert (answer.metadata, answer.fields, answer.retry_after) == ({}, {}, None)
