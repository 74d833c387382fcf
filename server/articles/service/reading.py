from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from server.articles.errors import ArticleNotFound, RevisionNotFound
from server.articles.rendering import Rendering
from server.articles.rendering.comparing import Hunk
from server.articles.rules import access
from server.articles.rules.folding import folded
from server.frame.caller import Caller
from server.frame.change_log import ChangeLog
from server.frame.errors import Refusal
from server.frame.resuming import Position
from server.frame.watching import Feed, WatchMessages
from storage.articles.records import (
    ArticleAudience,
    ArticleChange,
    ArticleFilter,
    ListedArticle,
    Listing,
    Match,
    PublishedPage,
    Review,
    Revision,
    RevisionBody,
    RevisionHead,
    SearchQuery,
    WholeArticle,
)
from storage.articles.store import ArticlesReading, ArticlesStore


class ArticleChanges(ChangeLog[ArticlesReading, ArticleChange, ArticleAudience]):
    """The log of what happened to articles."""

    def __init__(self) -> None:
        super().__init__(lambda reading: reading.article_changes, ArticleAudience(), access.concerns)


class Articles:
    """Articles as they are read, searched and watched."""

    def __init__(self, store: ArticlesStore, rendering: Rendering, now: Callable[[], datetime]) -> None:
        self._store = store
        self._rendering = rendering
        self._now = now
        self.feed = Feed(store, ArticleChanges(), now)

    async def read(self, article_ids: Sequence[UUID]) -> Sequence[WholeArticle | Refusal]:
        """Articles as readers see them, for many readers at once; ArticleNotFound for one that is not published."""
        async with self._store.reading() as reading:
            found = await reading.articles.find_published({*article_ids})
        return [found.get(each) or ArticleNotFound() for each in article_ids]

    async def get(self, caller: Caller, name: UUID | tuple[str, str], listing: Listing) -> WholeArticle:
        """An article by its id, or by its language and a slug that it has or had; raises ArticleNotFound."""
        viewer, sees_all = caller.account_id, access.sees_all(caller)
        async with self._store.reading() as reading:
            if isinstance(name, UUID):
                found = await reading.articles.find_whole(listing, name, viewer=viewer, sees_all=sees_all)
            else:
                language, slug = name
                found = await reading.articles.find_whole_by_slug(
                    listing, language, slug, viewer=viewer, sees_all=sees_all
                )
        if found is None:
            raise ArticleNotFound
        if listing is Listing.LATEST:
            access.check_may_see(found.listed.article, caller)
        return found

    async def body_of(self, listed: ListedArticle) -> RevisionBody | None:
        """What an article's revision says; None where it was deleted since."""
        async with self._store.reading() as reading:
            found = await reading.revisions.find(listed.id, listed.head.number)
        return found[0].body if found else None

    async def list_latest(
        self, caller: Caller, wanted: ArticleFilter, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[ListedArticle]:
        """Those that were published last first; of the latest revisions, those that were created last."""
        if wanted.listing is Listing.LATEST and not access.sees_all(caller):
            if wanted.author_id not in (None, caller.account_id) or not caller.may(access.WRITE):
                return ()
            wanted = replace(wanted, author_id=caller.account_id)
        async with self._store.reading() as reading:
            return await reading.articles.list_latest(wanted, before=before, limit=limit)

    async def list_whole(self, wanted: ArticleFilter, limit: int) -> Sequence[WholeArticle]:
        """The first published articles with what they say, for whoever reads a feed."""
        async with self._store.reading() as reading:
            return await reading.articles.list_whole(wanted, limit)

    async def list_pages(self, after: tuple[datetime, UUID] | None, limit: int) -> Sequence[PublishedPage]:
        """Where published articles are, the earliest first, from a key on."""
        async with self._store.reading() as reading:
            return await reading.articles.list_pages(after, limit)

    async def find_page_starts(self, size: int) -> Sequence[tuple[datetime, UUID]]:
        """The first key of each so many published articles."""
        async with self._store.reading() as reading:
            return await reading.articles.find_page_starts(size)

    async def search(
        self, text: str, language: str | None, *, after: tuple[float, UUID, datetime] | None, limit: int
    ) -> Sequence[Match]:
        """Published articles that match, best first; the pages of one search show what was published at its first."""
        as_of = after[2] if after else self._now()
        async with self._store.reading() as reading:
            query = SearchQuery(folded(text), language, as_of)
            return await reading.search.find(query, after=after[:2] if after else None, limit=limit)

    async def get_revision(self, caller: Caller, article_id: UUID, number: int) -> tuple[Revision, Review | None]:
        """Raises ArticleNotFound, RevisionNotFound."""
        async with self._store.reading() as reading:
            await _check_may_see(reading, caller, article_id)
            return await _revision(reading, article_id, number)

    async def list_revisions(
        self, caller: Caller, article_id: UUID, *, before: int | None, limit: int
    ) -> Sequence[tuple[RevisionHead, Review | None]]:
        """Latest first; raises ArticleNotFound."""
        async with self._store.reading() as reading:
            await _check_may_see(reading, caller, article_id)
            return await reading.revisions.list_latest(article_id, before=before, limit=limit)

    async def compare(
        self, caller: Caller, article_id: UUID, before: int, after: int
    ) -> tuple[RevisionHead, RevisionHead, Sequence[Hunk]]:
        """Two revisions, and where their contents differ; raises ArticleNotFound, RevisionNotFound."""
        async with self._store.reading() as reading:
            await _check_may_see(reading, caller, article_id)
            first, _ = await _revision(reading, article_id, before)
            second, _ = await _revision(reading, article_id, after)
        hunks: Sequence[Hunk] = ()
        if first.body.content != second.body.content:
            hunks = await self._rendering.compare(first.body.content, second.body.content)
        return first.head, second.head, hunks

    def watch(self, caller: Caller, article_id: UUID | None, position: Position | None) -> WatchMessages[ArticleChange]:
        """Sends a caller the changes of all articles whose drafts it sees, or of one of them."""
        return self.feed.watch(position, access.audience_of(caller, article_id))


async def _check_may_see(reading: ArticlesReading, caller: Caller, article_id: UUID) -> None:
    found = await reading.articles.find_latest(article_id)
    access.check_may_see(found.article if found else None, caller)


async def _revision(reading: ArticlesReading, article_id: UUID, number: int) -> tuple[Revision, Review | None]:
    found = await reading.revisions.find(article_id, number)
    if found is None:
        raise RevisionNotFound(revision=str(number))
    return found
