"""Refresh and Logout, over the wire."""

from datetime import UTC, datetime, timedelta

import grpc

from backroom.identity.v1 import accounts_pb2, identity_service_pb2
from server.identity.rules.sessions import SESSION_LIFE
from storage.store import FRAME
from tests.fixtures.servers import Api, Running, refusal
from tests.identity.access_cache import within_a_second
from tests.identity.people import Clock, execute, kept, me, outcome, refreshed, refreshing
from tests.identity.sessions import Begun, begun, next_token


async def ended(api: Api, refresh_token: str) -> bool:
    return await next_token(api, refresh_token) is None


async def started(server: Running, now: datetime | None = None) -> Begun:
    return await begun(server.application, server.channel, "customer", now=now)


def leaving(refresh_token: str) -> identity_service_pb2.LogoutRequest:
    return identity_service_pb2.LogoutRequest(refresh_token=refresh_token)


async def test_refreshing_rotates_the_token(timed: Running, clock: Clock) -> None:
    """Each answer has a new refresh token of the same session, and a valid access token."""
    person = await started(timed, clock())
    at, tokens = clock(), [person.refresh_token]
    for _ in range(3):
        clock.advance(minutes=20)
        answer = await refreshed(timed.anonymous, tokens[-1])
        tokens.append(answer.refresh_token)
        assert (await me(Api(timed.channel, answer.access_token))).user.user_id == str(person.api.account_id)
        assert answer.refresh_token_expire_time.ToDatetime(UTC) == at + SESSION_LIFE
    assert len(set(tokens)) == 4


async def test_a_refresh_repeated_soon_gets_the_same_refresh_token(timed: Running, clock: Clock) -> None:
    """A lost answer loses no session: for ten seconds the token just used is answered again."""
    first = (await started(timed, clock())).refresh_token
    second = await refreshed(timed.anonymous, first)
    for seconds in (0, 5, 5):
        clock.advance(seconds=seconds)
        assert (await refreshed(timed.anonymous, first)).refresh_token == second.refresh_token
    assert not await ended(timed.anonymous, second.refresh_token)


async def test_a_token_used_again_later_ends_the_session(timed: Running, clock: Clock) -> None:
    """Two parties have it: neither the thief's token nor the newest is valid."""
    first = (await started(timed, clock())).refresh_token
    second = await refreshed(timed.anonymous, first)
    clock.advance(seconds=10, microseconds=1)
    assert await ended(timed.anonymous, first)
    assert await ended(timed.anonymous, second.refresh_token)


async def test_a_theft_ends_the_access_tokens_of_the_session(server: Running) -> None:
    """Within a second, the thief's and the owner's; and the reuse of the token is recorded."""
    person = await started(server)
    answers = [await refreshed(server.anonymous, person.refresh_token)]
    answers.append(await refreshed(server.anonymous, answers[0].refresh_token))
    apis = [person.api, *(Api(server.channel, answer.access_token) for answer in answers)]
    for api in apis:
        assert await outcome(me(api)) == "done"
    assert await ended(server.anonymous, person.refresh_token)
    for api in apis:
        await within_a_second(lambda api=api: outcome(me(api)), "TOKEN_INVALID")  # type: ignore[misc] # a lambda
    assert await results(server, person) == ["OK", "OK", "REUSED"]


async def results(server: Running, person: Begun) -> list[str]:
    """The results recorded for a session, in order."""
    async with server.database.store(FRAME).reading() as tx:
        connection = tx._connection
        found = await connection.exec_driver_sql(
            "SELECT result FROM frame.audit_entries WHERE resource = %s ORDER BY sequence",
            (f"session/{person.session.id}",),
        )
        return list(found.scalars())


async def test_a_token_older_than_the_last_two_ends_the_session_even_at_once(server: Running) -> None:
    """The ten seconds apply only to the token just used."""
    first = (await started(server)).refresh_token
    second = await refreshed(server.anonymous, first)
    third = await refreshed(server.anonymous, second.refresh_token)
    assert await ended(server.anonymous, first)
    assert await ended(server.anonymous, third.refresh_token)


async def test_a_theft_ends_one_session_alone(timed: Running, clock: Clock) -> None:
    """The person's other sessions continue."""
    stolen = await started(timed, clock())
    other = await begun(timed.application, timed.channel, account_id=stolen.api.account_id, now=clock())
    await refreshed(timed.anonymous, stolen.refresh_token)
    clock.advance(minutes=1)
    assert await ended(timed.anonymous, stolen.refresh_token)
    assert not await ended(timed.anonymous, other.refresh_token)
    assert await outcome(me(other.api)) == "done"


async def test_a_session_ends_thirty_days_after_login(timed: Running, clock: Clock) -> None:
    """However often it is refreshed, and to the microsecond; its last access token ends with it."""
    token = (await started(timed, clock())).refresh_token
    for _ in range(2):
        clock.advance(days=14)
        token = (await refreshed(timed.anonymous, token)).refresh_token
    clock.advance(days=2, microseconds=-1)
    last = await refreshed(timed.anonymous, token)
    expire = last.refresh_token_expire_time.ToDatetime(UTC)
    assert expire - last.access_token_expire_time.ToDatetime(UTC) < timedelta(seconds=1)
    clock.advance(microseconds=1)
    assert await ended(timed.anonymous, last.refresh_token)
    assert await outcome(me(Api(timed.channel, last.access_token))) == "TOKEN_INVALID"


async def test_a_disabled_account_cannot_refresh(server: Running) -> None:
    """Although the session itself was not ended."""
    person = await started(server)
    await execute(
        server.database, "UPDATE identity.accounts SET disable_time = now() WHERE id = :id", id=person.api.account_id
    )
    assert await ended(server.anonymous, person.refresh_token)
    await execute(
        server.database, "UPDATE identity.accounts SET disable_time = NULL WHERE id = :id", id=person.api.account_id
    )
    assert not await ended(server.anonymous, person.refresh_token)


async def test_no_other_token_continues_a_session(server: Running) -> None:
    """Forged, truncated, garbled, wrongly prefixed and made-up tokens get one refusal, and end nothing."""
    person = await started(server)
    genuine = person.refresh_token
    bare = genuine.removeprefix("brr_")
    unknown = "brr_" + "A" * len(bare)
    flipped = genuine[:-5] + ("B" if genuine[-5] == "A" else "A") + genuine[-4:]
    longer = genuine + "AAAA"
    others = (unknown, flipped, genuine[:-4], genuine[4:-4], longer, f"brk_{bare}", "brr_", "garbage", "é", "☃" * 50)
    for token in (*others, str(person.api.token)[:200]):
        assert await ended(server.anonymous, token), token
    assert not await ended(server.anonymous, genuine)


async def test_a_refusal_states_what_is_expected_and_not_what_was_wrong(server: Running) -> None:
    """A token out of the contract's bounds is named by its field, and any other is not explained."""
    for token in ("", "x" * 201):
        answer = await refusal(server.anonymous.identity.Refresh(refreshing(token)))
        assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
        assert list(answer.fields) == ["refresh_token"]
    answer = await refusal(server.anonymous.identity.Refresh(refreshing("garbage")))
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
    assert (answer.metadata, answer.fields, answer.retry_after) == ({}, {}, None)


async def test_signing_out_ends_the_access_tokens_within_a_second(server: Running) -> None:
    """Only of that session; signing out again, or with an invalid token, gets the same answer and changes nothing."""
    person = await started(server)
    other = await begun(server.application, server.channel, account_id=person.api.account_id)
    renewed = await refreshed(server.anonymous, person.refresh_token)
    for api in (person.api, other.api):
        assert await outcome(me(api)) == "done"
    for token in (renewed.refresh_token, renewed.refresh_token, person.refresh_token, "garbage"):
        assert await outcome(server.anonymous.identity.Logout(leaving(token))) == "done"
    for api in (person.api, Api(server.channel, renewed.access_token)):
        await within_a_second(lambda api=api: outcome(me(api)), "TOKEN_INVALID")  # type: ignore[misc] # a lambda
    assert await outcome(me(other.api)) == "done"
    assert await ended(server.anonymous, renewed.refresh_token)
    assert await results(server, person) == ["OK", "OK"]


async def test_no_refresh_token_is_stored(server: Running) -> None:
    """Neither in the session, nor in the record, nor in kept answers."""
    person = await started(server)
    tokens: accounts_pb2.Tokens = await refreshed(server.anonymous, person.refresh_token)
    for table in ("identity.sessions", "frame.audit_entries", "frame.request_ids"):
        text = await kept(server.database, table)
        for token in (person.refresh_token, tokens.refresh_token, tokens.access_token):
            assert token not in text
            assert token[4:40] not in text
