"""What readers see: published at once or on time, taken back, and reviewed before where that is required."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, timedelta

import pytest
from uuid_utils.compat import uuid7

from backroom.articles.v1 import article_service_pb2 as pb
from backroom.articles.v1 import articles_pb2
from server.articles.service import Publishing
from server.frame.module import now
from server.frame.wire import timestamp
from storage.articles.store import ARTICLES
from storage.database import Database
from tests.articles.calling import (
    LATEST,
    ahead,
    approve,
    changed,
    found,
    fresh,
    listed,
    made,
    publish,
    published,
    review,
    schedule,
    unpublish,
)
from tests.fixtures.servers import Api, Running, quick_passwords, refusal, running


@pytest.fixture
async def author(server: Running) -> Api:
    return await server.sign_in("staff")


@pytest.fixture
async def reviewed(database: Database) -> AsyncIterator[Running]:
    """A server that requires a review before anything is published."""
    async with running(database, passwords=quick_passwords(), articles_review=True) as opened:
        yield opened


def publishing(server: Running) -> Publishing:
    """What a worker publishes by."""
    return Publishing(server.database.store(ARTICLES), now, uuid7, review_required=False)


async def test_an_article_comes_and_goes_for_readers(author: Api, customer: Api) -> None:
    """Its first publication counts until it is taken back; then it is published anew."""
    draft = await made(author)
    first = await publish(author, draft.article_id)
    await changed(author, draft.article_id, title="Another")
    second = await publish(author, draft.article_id)
    assert (first.publish_time, second.published_revision) == (second.publish_time, 2)
    again = await publish(author, draft.article_id)
    assert again.etag == second.etag
    gone = await unpublish(author, draft.article_id)
    assert (gone.state, gone.published_revision) == (articles_pb2.ARTICLE_STATE_UNPUBLISHED, 2)
    assert (await refusal(found(customer, draft.article_id))).reason == "ARTICLE_NOT_FOUND"
    refused = await refusal(unpublish(author, draft.article_id))
    assert (refused.reason, refused.metadata) == (
        "ARTICLE_STATE_CONFLICT",
        {"state": "UNPUBLISHED", "needed": "PUBLISHED"},
    )
    back = await publish(author, draft.article_id, revision=1)
    assert back.publish_time.ToDatetime(UTC) > second.publish_time.ToDatetime(UTC)
    assert (await found(customer, draft.article_id)).title == "A title"


async def test_what_was_scheduled_goes_live_and_not_the_latest_draft(
    server: Running, author: Api, customer: Api
) -> None:
    """Also where its time lies in the past; and only once."""
    draft = await made(author, title="Approved")
    pinned = await schedule(author, draft.article_id, at=ahead(hours=-1))
    await changed(author, draft.article_id, title="Not to be seen")
    assert pinned.schedule.revision == 1
    assert (await refusal(found(customer, draft.article_id))).reason == "ARTICLE_NOT_FOUND"
    assert await publishing(server).publish_due() == 1
    live = await found(customer, draft.article_id)
    assert (live.title, live.revision) == ("Approved", 1)
    assert await publishing(server).publish_due() == 0
    kept = await found(author, draft.article_id, LATEST)
    assert (kept.title, kept.HasField("schedule"), kept.published_revision) == ("Not to be seen", False, 1)


async def test_what_is_not_due_waits_for_its_time(server: Running, author: Api) -> None:
    draft = await made(author)
    await schedule(author, draft.article_id, at=ahead(hours=1))
    assert await publishing(server).publish_due() == 0
    later = Publishing(
        server.database.store(ARTICLES), lambda: now() + timedelta(hours=1), uuid7, review_required=False
    )
    assert await later.publish_due() == 1


async def test_two_workers_publish_what_is_due_once(server: Running, author: Api) -> None:
    """One event and one audit entry each, whoever was first."""
    ids = [(await made(author, title=f"Article {each}")).article_id for each in range(6)]
    for each in ids:
        await schedule(author, each, at=ahead(seconds=-1))
    watch = author.articles.WatchArticles(pb.WatchArticlesRequest())
    await asyncio.wait_for(watch.read(), 60)
    assert sum(await asyncio.gather(*(publishing(server).publish_due() for _ in range(4)))) == len(ids)
    told = [await asyncio.wait_for(watch.read(), 60) for _ in ids]
    assert {each.change for each in told} == {"published"}
    assert sorted(each.article.article_id for each in told) == sorted(ids)
    marker = await made(author, title="Marker")
    assert (await asyncio.wait_for(watch.read(), 60)).article.article_id == marker.article_id


async def test_articles_that_are_scheduled_together_are_seen_together(
    server: Running, author: Api, customer: Api
) -> None:
    """One that is taken out of the schedule stays a draft."""
    ids = [(await made(author, title=f"Part {each}")).article_id for each in range(3)]
    request = pb.ScheduleArticlesRequest(request_id=fresh(), publish_time=timestamp(ahead(seconds=-1)))
    request.articles.extend(pb.ScheduledArticle(article_id=each) for each in ids)
    answer = await author.articles.ScheduleArticles(request)
    assert len({each.schedule.schedule_id for each in answer.articles}) == 1
    assert [each.article_id for each in answer.articles] == ids
    await author.articles.UnscheduleArticle(pb.UnscheduleArticleRequest(article_id=ids[1]))
    refused = await refusal(author.articles.UnscheduleArticle(pb.UnscheduleArticleRequest(article_id=ids[1])))
    assert refused.reason == "ARTICLE_NOT_SCHEDULED"
    assert [each.article_id for each in await listed(author, view=LATEST, scheduled=True)] == [ids[2], ids[0]]
    assert await publishing(server).publish_due() == 2
    live = await listed(customer)
    assert {each.article_id for each in live} == {ids[0], ids[2]}
    assert len({each.publish_time.ToDatetime() for each in live}) == 1
    twice = pb.ScheduleArticlesRequest(publish_time=timestamp(ahead(hours=1)))
    twice.articles.extend(pb.ScheduledArticle(article_id=ids[0]) for _ in range(2))
    assert [*(await refusal(author.articles.ScheduleArticles(twice))).fields] == ["articles"]


async def test_publishing_and_taking_back_end_a_schedule(server: Running, author: Api) -> None:
    one, two = await made(author), await published(author)
    for each in (one, two):
        await schedule(author, each.article_id, at=ahead(seconds=-1))
    assert not (await publish(author, one.article_id)).HasField("schedule")
    assert not (await unpublish(author, two.article_id)).HasField("schedule")
    assert await publishing(server).publish_due() == 0


async def test_a_review_is_requested_and_decided(author: Api, service: Api) -> None:
    """A rejected revision can be handed in again; without the setting, none is needed."""
    draft = await made(author)
    pending = await review(author, draft.article_id)
    assert (pending.review.state, pending.review.requested_by) == (
        articles_pb2.REVIEW_STATE_PENDING,
        str(author.account_id),
    )
    assert (await refusal(review(author, draft.article_id))).reason == "REVIEW_STATE_CONFLICT"
    reject = pb.RejectRevisionRequest(article_id=draft.article_id, revision=1, comment="Name your source.")
    rejected = (await service.articles.RejectRevision(reject)).article.review
    assert (rejected.state, rejected.comment) == (articles_pb2.REVIEW_STATE_REJECTED, "Name your source.")
    assert (await refusal(approve(service, draft.article_id, 1))).reason == "REVIEW_STATE_CONFLICT"
    await review(author, draft.article_id)
    assert [each.article_id for each in await listed(service, view=LATEST, review_state=1)] == [draft.article_id]
    approved = await approve(service, draft.article_id, 1)
    assert approved.review.decided_by == str(service.account_id)
    assert (await refusal(approve(author, draft.article_id, 1))).reason == "PERMISSION_MISSING"


async def test_where_a_review_is_required_only_what_another_approved_is_published(reviewed: Running) -> None:
    """Not a later revision; and nobody approves what they wrote or saved."""
    author, editor, other = [await reviewed.sign_in(role) for role in ("staff", "manager", "manager")]
    draft = await made(author)
    for call in (publish(author, draft.article_id), schedule(editor, draft.article_id, at=ahead(hours=1))):
        refused = await refusal(call)
        assert (refused.reason, refused.metadata) == ("REVIEW_REQUIRED", {"revision": "1"})
    await changed(editor, draft.article_id, title="Edited")
    await review(author, draft.article_id, 2)
    assert (await refusal(approve(editor, draft.article_id, 2))).reason == "OWN_REVISION"
    await approve(other, draft.article_id, 2)
    await changed(author, draft.article_id, title="Changed after the approval")
    assert (await refusal(publish(author, draft.article_id))).reason == "REVIEW_REQUIRED"
    live = await publish(author, draft.article_id, revision=2)
    assert live.published_revision == 2
    assert (await refusal(changed(author, draft.article_id, slug="unseen"))).reason == "REVIEW_REQUIRED"
    assert (await changed(editor, draft.article_id, slug="seen")).slug == "seen"
    own = await made(other, title="Own")
    await review(other, own.article_id)
    assert (await refusal(approve(other, own.article_id, 1))).reason == "OWN_REVISION"


async def test_lists_show_each_caller_what_it_may_see(
    author: Api, service: Api, customer: Api, server: Running
) -> None:
    """Readers what is published, authors their own, editors all; by tag, language, author and state."""
    other = await server.sign_in("staff")
    one = await published(author, title="One", tags=["news", "work"])
    two = await published(other, title="Two", tags=["news"], language="de")
    draft = await made(author, title="Three", tags=["news"])

    def ids(articles: list[articles_pb2.Article]) -> list[str]:
        return [each.article_id for each in articles]

    everything = ids([draft, two, one])
    assert ids(await listed(customer)) == ids(await listed(author)) == ids([two, one])
    assert ids(await listed(author, view=LATEST)) == ids([draft, one])
    assert ids(await listed(service, view=LATEST)) == everything
    assert ids(await listed(customer, view=LATEST)) == []
    assert ids(await listed(customer, tag="NEWS ")) == ids([two, one])
    assert ids(await listed(customer, tag="news", language="de")) == ids([two])
    assert ids(await listed(service, view=LATEST, tag="news")) == everything
    assert ids(await listed(author, view=LATEST, tag="news")) == ids([draft, one])
    assert ids(await listed(customer, author_id=str(other.account_id))) == ids([two])
    assert ids(await listed(author, view=LATEST, author_id=str(other.account_id))) == []
    state = articles_pb2.ARTICLE_STATE_DRAFT
    assert ids(await listed(service, view=LATEST, state=state)) == ids([draft])
    assert ids(await listed(customer, state=state)) == []
    refused = await refusal(listed(customer, scheduled=True))
    assert [*refused.fields] == ["view"]
    assert not any(each.content or each.html for each in await listed(service, view=LATEST))


async def test_paging_shows_what_stands_throughout_once(author: Api, customer: Api) -> None:
    """While articles are published, taken back and published again between the pages."""
    stands = [await published(author, title=f"Article {each}", tags=["t"]) for each in range(6)]
    moving = await published(author, title="Moving", tags=["t"])
    for tag in ("", "t"):
        request, seen = pb.ListArticlesRequest(page_size=2, tag=tag), list[str]()
        while True:
            page = await customer.articles.ListArticles(request)
            seen += [each.article_id for each in page.articles]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
            await unpublish(author, moving.article_id)
            await publish(author, moving.article_id)
        assert len(seen) == len({*seen})
        assert {each.article_id for each in stands} <= {*seen}


async def test_a_watch_tells_each_change_once(author: Api, service: Api, server: Running) -> None:
    """As the article was after it; to its author and to editors, and to no other author."""
    other = await server.sign_in("staff")
    watches = [api.articles.WatchArticles(pb.WatchArticlesRequest()) for api in (author, service, other)]
    for each in watches:
        assert not (await asyncio.wait_for(each.read(), 60)).change
    draft = await made(author)
    changes = [("created", draft), ("changed", await changed(author, draft.article_id, title="New", slug="new"))]
    changes.append(("review_requested", await review(author, draft.article_id)))
    changes.append(("approved", await approve(service, draft.article_id, 2)))
    changes.append(("scheduled", await schedule(author, draft.article_id, at=ahead(hours=1))))
    changes.append(("published", await publish(author, draft.article_id)))
    changes.append(("unpublished", await unpublish(author, draft.article_id)))
    await author.articles.DeleteArticle(pb.DeleteArticleRequest(article_id=draft.article_id))
    for each in watches[:2]:
        told = [await asyncio.wait_for(each.read(), 60) for _ in range(len(changes) + 1)]
        assert [each.change for each in told] == [*(name for name, _ in changes), "deleted"]
        for message, (_, article) in zip(told, changes, strict=False):
            expected = articles_pb2.Article.FromString(article.SerializeToString())
            expected.ClearField("content")
            expected.ClearField("html")
            assert message.article == expected
    mine = await made(other, title="Mine")
    assert (await asyncio.wait_for(watches[2].read(), 60)).article.article_id == mine.article_id
