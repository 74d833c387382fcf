"""What all changes of articles have in common."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from server.articles.errors import RevisionNotFound
from server.articles.rules.access import check_may_change
from server.articles.rules.events import article_event
from server.articles.rules.publishing import touched
from server.articles.service.answers import ARTICLE
from server.frame.batching import retry_on_contention
from server.frame.caller import Caller
from server.frame.editing import Edit, check_etag
from server.frame.repeating import once
from storage.articles.records import Article, ListedArticle, Review, RevisionHead
from storage.articles.store import ArticlesReading, ArticlesStore, ArticlesTransaction
from storage.errors import AlreadyExists, StoreContention
from storage.frame.records import ChangeContext


async def change_once(
    store: ArticlesStore, context: ChangeContext, act: Callable[[ArticlesTransaction], Awaitable[ListedArticle]]
) -> ListedArticle:
    """A change of one article; it is tried again where a slug or a language was taken at the same time."""

    async def attempt() -> ListedArticle:
        try:
            return await once(store, context, ARTICLE, act, lambda listed: f"article/{listed.id}")
        except AlreadyExists as error:  # by a transaction that had not committed yet; on a retry, it will be seen
            raise StoreContention from error

    return await retry_on_contention(attempt)


async def lock(tx: ArticlesTransaction, caller: Caller, article_id: UUID, etag: str = "") -> Article:
    """The article, which the caller may change; raises ArticleNotFound, NotTheAuthor, EtagMismatch."""
    return checked((await tx.articles.lock_many([article_id])).get(article_id), caller, etag)


def checked(article: Article | None, caller: Caller, etag: str) -> Article:
    """The article, which the caller may change; raises ArticleNotFound, NotTheAuthor, EtagMismatch."""
    found = check_may_change(article, caller)
    edit: Edit[Any] = Edit(found.id, etag, {})
    check_etag(found, edit)
    return found


async def find_head(reading: ArticlesReading, article: Article, number: int) -> tuple[RevisionHead, Review | None]:
    """A revision of an article, 0 being the latest one; raises RevisionNotFound."""
    found = await reading.revisions.find_head(article.id, number or article.revision)
    if found is None:
        raise RevisionNotFound(revision=str(number))
    return found


async def store_and_tell(tx: ArticlesTransaction, happened: str, before: Article, article: Article) -> ListedArticle:
    """Stores an article that was locked in this transaction, with the event of its change, if it has changed."""
    if article == before:
        return await _listed(tx, article)
    article = replace(article, version=before.version + 1)  # one change, whatever it was made of
    await tx.articles.change(article)
    return await tell(tx, happened, article)


async def tell(tx: ArticlesTransaction, happened: str, article: Article) -> ListedArticle:
    """Publishes what happened to an article that is stored already."""
    listed = await _listed(tx, article)
    await tx.events.publish([article_event(happened, listed)])
    return listed


async def delete_and_tell(tx: ArticlesTransaction, article: Article, now: datetime) -> ListedArticle:
    """Deletes an article that was locked in this transaction and that readers do not see."""
    head, review = await find_head(tx, article, 0)
    gone = ListedArticle(touched(article, now), head, review)
    await tx.articles.delete(article.id)
    await tx.events.publish([article_event("deleted", gone)])
    return gone


async def _listed(tx: ArticlesTransaction, article: Article) -> ListedArticle:
    head, review = await find_head(tx, article, article.revision)
    return ListedArticle(article, head, review)
