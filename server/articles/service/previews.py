from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from server.articles.rules.links import PreviewLink, holds_good
from server.articles.service.answers import PREVIEW_LINK
from server.articles.service.changing import find_head, lock
from server.frame.answers import DONE
from server.frame.caller import Caller, PermissionsOf
from server.frame.errors import TokenInvalid
from server.frame.repeating import once
from storage.articles.records import Article, Revision
from storage.articles.store import ArticlesStore, ArticlesTransaction
from storage.frame.records import ChangeContext


class Previews:
    """Revisions that are read before they are published, by a link that needs no account."""

    def __init__(self, store: ArticlesStore, permissions_of: PermissionsOf, now: Callable[[], datetime]) -> None:
        self._store = store
        self._permissions_of = permissions_of
        self._now = now

    async def link(
        self, caller: Caller, article_id: UUID, number: int, valid_minutes: int, context: ChangeContext
    ) -> PreviewLink:
        """Raises ArticleNotFound, NotTheAuthor, RevisionNotFound."""

        async def act(tx: ArticlesTransaction) -> PreviewLink:
            article = await lock(tx, caller, article_id)
            head, _ = await find_head(tx, article, number)
            until = int((self._now() + timedelta(minutes=valid_minutes)).timestamp())
            return PreviewLink(article_id, head.number, caller.account_id, article.link_version, until)

        return await once(self._store, context, PREVIEW_LINK, act, f"article/{article_id}")

    async def revoke(self, caller: Caller, article_id: UUID, context: ChangeContext) -> None:
        """Ends all links to an article's revisions that were made before; raises ArticleNotFound, NotTheAuthor."""

        async def act(tx: ArticlesTransaction) -> None:
            article = await lock(tx, caller, article_id)
            await tx.articles.change(replace(article, link_version=article.link_version + 1))

        await once(self._store, context, DONE, act, f"article/{article_id}")

    async def read(self, link: PreviewLink) -> tuple[Article, Revision]:
        """What a link shows; raises TokenInvalid where it holds good no longer."""
        permissions, now = await self._permissions_of(link.account_id), self._now()
        async with self._store.reading() as reading:
            found = await reading.articles.find_latest(link.article_id)
            if found is None or not holds_good(link, found.article, permissions, now):
                raise TokenInvalid
            revision = await reading.revisions.find(link.article_id, link.revision)
        if revision is None:
            raise TokenInvalid
        return found.article, revision[0]
