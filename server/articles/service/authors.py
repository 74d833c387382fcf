"""What becomes of the articles of an author whose account is deleted."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from server.articles.service.changing import delete_and_tell, store_and_tell
from server.articles.service.publishing import take_back
from server.frame.editing import changed
from server.frame.personal_data import DeclaredPersonalData, Erasure
from storage.articles.personal_data import PERSONAL_DATA
from storage.articles.records import Article, ArticleFilter, ArticleState, Listing
from storage.articles.store import ArticlesStore, ArticlesTransaction
from storage.frame.records import NOBODY, ChangeContext

ERASE = "articles.erase_account"
"""What the record names as the action."""
_AT_ONCE = 100
"""How many articles are looked up at once."""


class AuthorsData(DeclaredPersonalData):
    """Hands over or deletes articles with their events, as an author would; all else goes by rules."""

    def __init__(self, store: ArticlesStore, now: Callable[[], datetime]) -> None:
        super().__init__(store, PERSONAL_DATA)
        self._articles = store
        self._now = now

    async def erase(self, erasure: Erasure) -> None:
        while found := await self._some(erasure.account_id):
            for article_id in found:
                await self._end(article_id, erasure)
        await super().erase(erasure)

    async def _some(self, author_id: UUID) -> Sequence[UUID]:
        wanted = ArticleFilter(Listing.LATEST, author_id=author_id)
        async with self._articles.reading() as reading:
            found = await reading.articles.list_latest(wanted, before=None, limit=_AT_ONCE)
        return [each.id for each in found]

    async def _end(self, article_id: UUID, erasure: Erasure) -> None:
        async with self._articles.transaction() as tx:
            article = (await tx.articles.lock_many([article_id])).get(article_id)
            if article is None or article.author_id != erasure.account_id:
                return
            to, now = erasure.transfer_to, self._now()
            if to is not None and not await tx.account_deletions.deleted_among([to]):
                await store_and_tell(tx, "changed", article, changed(article, {"author_id": to}, now))
            else:
                await self._delete(tx, article, now)
            await tx.audit.record([ChangeContext(NOBODY, ERASE, now).entry(f"article/{article_id}")])

    async def _delete(self, tx: ArticlesTransaction, article: Article, now: datetime) -> None:
        if article.state is ArticleState.PUBLISHED:
            article = (await take_back(tx, article, now)).article
        await delete_and_tell(tx, article, now)
