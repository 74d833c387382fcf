"""ListSessions, RevokeSession and RevokeAllSessions, over the wire."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import grpc

from backroom.identity.v1 import accounts_pb2, identity_service_pb2
from tests.fixtures.servers import Running, refusal
from tests.identity.access_cache import within_a_second
from tests.identity.people import Clock, me, outcome, refreshed
from tests.identity.sessions import Begun, begun, next_token


def listing(**rest: object) -> identity_service_pb2.ListSessionsRequest:
    return identity_service_pb2.ListSessionsRequest(**rest)  # type: ignore[arg-type] # the tests name its fields


def revoking(session_id: UUID | str, **rest: str) -> identity_service_pb2.RevokeSessionRequest:
    return identity_service_pb2.RevokeSessionRequest(session_id=str(session_id), **rest)


def revoking_all(*, keep_current: bool = False, request_id: str = "") -> identity_service_pb2.RevokeAllSessionsRequest:
    return identity_service_pb2.RevokeAllSessionsRequest(keep_current=keep_current, request_id=request_id)


async def sessions_of(person: Begun) -> list[accounts_pb2.Session]:
    return list((await person.api.identity.ListSessions(listing())).sessions)


async def some(server: Running, count: int, now: datetime | None = None) -> list[Begun]:
    """This many sessions of one person, each a second younger than the previous one."""
    at = now or datetime.now(UTC)
    first = await begun(server.application, server.channel, "customer", now=at)
    account_id = first.api.account_id
    later = [
        await begun(server.application, server.channel, account_id=account_id, now=at + timedelta(seconds=age))
        for age in range(1, count)
    ]
    return [first, *later]


async def is_out(person: Begun) -> None:
    await within_a_second(lambda: outcome(me(person.api)), "TOKEN_INVALID")


async def test_sessions_are_listed_latest_first(timed: Running, clock: Clock) -> None:
    """With their times, and which is the caller's own; without those of others, and ended or expired ones."""
    mine = await some(timed, 3, clock())
    await some(timed, 1, clock())
    clock.advance(minutes=5)
    await refreshed(timed.anonymous, mine[0].refresh_token)
    await mine[0].api.identity.RevokeSession(revoking(mine[1].session.id))
    listed = await sessions_of(mine[0])
    assert [each.session_id for each in listed] == [str(mine[2].session.id), str(mine[0].session.id)]
    assert [each.current for each in listed] == [False, True]
    assert [each.refresh_time.ToDatetime(UTC) for each in listed] == [mine[2].session.create_time, clock()]
    assert listed[1].create_time.ToDatetime(UTC) == mine[0].session.create_time
    assert listed[1].expire_time.ToDatetime(UTC) == mine[0].session.expire_time


async def test_pages_of_sessions_see_each_exactly_once(server: Running) -> None:
    """Five sessions, two per page."""
    mine = await some(server, 5)
    seen, sizes, token = [], [], ""
    while True:
        page = await mine[0].api.identity.ListSessions(listing(page_size=2, page_token=token))
        sizes.append(len(page.sessions))
        seen += [each.session_id for each in page.sessions]
        token = page.next_page_token
        if not token:
            break
    assert sizes == [2, 2, 1]
    assert seen == [str(each.session.id) for each in reversed(mine)]


async def test_a_revoked_session_is_refused_within_a_second(server: Running) -> None:
    """Only its tokens; revoking it again, or repeating the request, changes nothing."""
    mine = await some(server, 2)
    for person in mine:
        assert await outcome(me(person.api)) == "done"
    request = revoking(mine[1].session.id, request_id=str(uuid4()))
    for each in (request, request, revoking(mine[1].session.id)):
        assert await outcome(mine[0].api.identity.RevokeSession(each)) == "done"
    await is_out(mine[1])
    assert await next_token(server.anonymous, mine[1].refresh_token) is None
    assert await outcome(me(mine[0].api)) == "done"
    assert await next_token(server.anonymous, mine[0].refresh_token) is not None


async def test_ones_own_session_can_be_revoked(server: Running) -> None:
    """The call that does so is answered."""
    person = await begun(server.application, server.channel)
    assert await outcome(person.api.identity.RevokeSession(revoking(person.session.id))) == "done"
    await is_out(person)


async def test_anothers_session_is_refused_like_a_missing_one(server: Running) -> None:
    """And continues."""
    person = await begun(server.application, server.channel)
    other = await begun(server.application, server.channel)
    answers = []
    for session_id in (other.session.id, uuid4()):
        answer = await refusal(person.api.identity.RevokeSession(revoking(session_id)))
        assert answer.metadata.pop("session_id") == str(session_id)
        answers.append(replace(answer, message=answer.message.replace(str(session_id), "ID")))
    assert answers[0] == answers[1]
    assert (answers[0].code, answers[0].reason) == (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")
    assert await next_token(server.anonymous, other.refresh_token) is not None


async def test_all_sessions_are_revoked_or_all_but_this_one(server: Running) -> None:
    """They are counted; a repetition gets the first answer, and revokes no session that was started since."""
    mine = await some(server, 4)
    other = await begun(server.application, server.channel)
    request = revoking_all(keep_current=True, request_id=str(uuid4()))
    assert (await mine[0].api.identity.RevokeAllSessions(request)).revoked_count == 3
    for person in mine[1:]:
        await is_out(person)
    mine.append(await begun(server.application, server.channel, account_id=mine[0].api.account_id))
    assert (await mine[0].api.identity.RevokeAllSessions(request)).revoked_count == 3
    assert await outcome(me(mine[-1].api)) == "done"
    assert (await mine[0].api.identity.RevokeAllSessions(revoking_all())).revoked_count == 2
    for person in mine:
        await is_out(person)
        assert await next_token(server.anonymous, person.refresh_token) is None
    assert await outcome(me(other.api)) == "done"
