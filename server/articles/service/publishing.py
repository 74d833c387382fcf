from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.articles.rules import publishing
from server.articles.service.answers import ARTICLES, ListedArticles
from server.articles.service.changing import change_once, checked, find_head, lock, store_and_tell
from server.frame.caller import Caller
from server.frame.repeating import once
from storage.articles.records import Article, ListedArticle, Listing, Schedule
from storage.articles.store import ArticlesStore, ArticlesTransaction
from storage.frame.records import NOBODY, ChangeContext

PUBLISH_DUE = "articles.publish_due"
"""The task that publishes what is due."""

_AT_ONCE = 100
"""How many schedules are looked up at once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A revision to be published, 0 being the latest one, and the etag that its article was read under."""

    article_id: UUID
    revision: int
    etag: str


class Publishing:
    """What readers see: published at once, or on time."""

    def __init__(
        self,
        store: ArticlesStore,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        *,
        review_required: bool,
    ) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id
        self._review_required = review_required

    async def publish(self, caller: Caller, wanted: Wanted, context: ChangeContext) -> ListedArticle:
        """Raises ArticleNotFound, NotTheAuthor, EtagMismatch, RevisionNotFound, ReviewRequired."""

        async def act(tx: ArticlesTransaction) -> ListedArticle:
            article = await lock(tx, caller, wanted.article_id, wanted.etag)
            number = await self._publishable(tx, article, wanted.revision)
            return await go_live(tx, article, number, self._now())

        return await change_once(self._store, context, act)

    async def unpublish(self, caller: Caller, article_id: UUID, etag: str, context: ChangeContext) -> ListedArticle:
        """Raises ArticleNotFound, NotTheAuthor, EtagMismatch, ArticleStateConflict."""

        async def act(tx: ArticlesTransaction) -> ListedArticle:
            return await take_back(tx, await lock(tx, caller, article_id, etag), self._now())

        return await change_once(self._store, context, act)

    async def schedule(
        self, caller: Caller, wanted: Wanted, publish_time: datetime, context: ChangeContext
    ) -> ListedArticle:
        """Has a revision published on time; raises what `publish` does."""

        async def act(tx: ArticlesTransaction) -> ListedArticle:
            article = await lock(tx, caller, wanted.article_id, wanted.etag)
            return await self._scheduled(tx, article, wanted.revision, self._new_id(), publish_time)

        return await change_once(self._store, context, act)

    async def schedule_many(
        self, caller: Caller, wanted: Sequence[Wanted], publish_time: datetime, context: ChangeContext
    ) -> Sequence[ListedArticle]:
        """Has revisions of several articles published together; raises what `publish` does."""

        async def act(tx: ArticlesTransaction) -> ListedArticles:
            found = await tx.articles.lock_many([each.article_id for each in wanted])
            articles = [checked(found.get(each.article_id), caller, each.etag) for each in wanted]
            schedule_id = self._new_id()
            done = [
                await self._scheduled(tx, article, each.revision, schedule_id, publish_time)
                for article, each in zip(articles, wanted, strict=True)
            ]
            await tx.audit.record([context.entry(f"article/{each.id}") for each in done])
            return ListedArticles(tuple(done))

        return (await once(self._store, context, ARTICLES, act, None)).articles

    async def unschedule(self, caller: Caller, article_id: UUID, etag: str, context: ChangeContext) -> ListedArticle:
        """Raises ArticleNotFound, NotTheAuthor, EtagMismatch, ArticleNotScheduled."""

        async def act(tx: ArticlesTransaction) -> ListedArticle:
            article = await lock(tx, caller, article_id, etag)
            return await store_and_tell(tx, "unscheduled", article, publishing.unscheduled(article, self._now()))

        return await change_once(self._store, context, act)

    async def publish_due(self) -> int:
        """Publishes what is due by now, each schedule in a transaction of its own; returns how many articles that were.

        A schedule that fails keeps no other one waiting: what it raised is raised in the end, and it is tried again the
        next time.
        """
        published, failures, seen = 0, list[Exception](), set[UUID]()
        while True:
            async with self._store.reading() as reading:
                due = await reading.articles.find_due(self._now(), _AT_ONCE + len(seen))
            new = [each for each in due if each not in seen]
            if not new:
                break
            for schedule_id in new:
                seen.add(schedule_id)
                try:
                    published += await self._publish_schedule(schedule_id)
                except Exception as error:  # noqa: BLE001 - raised below, once the others had their turn
                    failures.append(error)
        if failures:
            raise ExceptionGroup("not all that is due could be published", failures)
        return published

    async def _publish_schedule(self, schedule_id: UUID) -> int:
        """All articles of a schedule that still have it, or none; another worker that had it first left none."""
        async with self._store.transaction() as tx:
            now = self._now()
            locked = await tx.articles.lock_schedule(schedule_id)
            due = [(each, each.schedule) for each in locked if each.schedule and each.schedule.publish_time <= now]
            for article, schedule in due:
                await go_live(tx, article, schedule.revision, now)
            context = ChangeContext(NOBODY, PUBLISH_DUE, now)
            await tx.audit.record([context.entry(f"article/{article.id}") for article, _ in due])
        return len(due)

    async def _scheduled(
        self, tx: ArticlesTransaction, article: Article, number: int, schedule_id: UUID, publish_time: datetime
    ) -> ListedArticle:
        pinned = Schedule(schedule_id, await self._publishable(tx, article, number), publish_time)
        return await store_and_tell(tx, "scheduled", article, publishing.scheduled(article, pinned, self._now()))

    async def _publishable(self, tx: ArticlesTransaction, article: Article, number: int) -> int:
        """Which revision is meant; raises RevisionNotFound, ReviewRequired."""
        head, review = await find_head(tx, article, number)
        publishing.check_publishable(head.number, review, review_required=self._review_required)
        return head.number


async def go_live(tx: ArticlesTransaction, article: Article, number: int, now: datetime) -> ListedArticle:
    """Puts a revision of an article, which was locked in this transaction, before its readers."""
    live = publishing.published(article, number, now)
    if live != article:
        found = await tx.revisions.find(article.id, number)
        assert found is not None  # noqa: S101 - it was there when it was pinned, and none goes without its article
        revision, _ = found
        await tx.articles.tag(live, Listing.PUBLISHED, revision.head.tags)
        await tx.search.keep(publishing.document_of(live, revision))
    return await store_and_tell(tx, "published", article, live)


async def take_back(tx: ArticlesTransaction, article: Article, now: datetime) -> ListedArticle:
    """Takes an article, which was locked in this transaction, from its readers; raises ArticleStateConflict."""
    taken_back = publishing.unpublished(article, now)
    await tx.articles.tag(taken_back, Listing.PUBLISHED, ())
    await tx.search.forget(article.id)
    return await store_and_tell(tx, "unpublished", article, taken_back)
