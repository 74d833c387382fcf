from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from server.articles.rules import publishing
from server.articles.rules.access import check_may_see
from server.articles.service.changing import change_once, find_head, lock, store_and_tell
from server.frame.caller import Caller
from storage.articles.records import ListedArticle, ReviewState
from storage.articles.store import ArticlesStore, ArticlesTransaction
from storage.frame.records import ChangeContext


class Reviewing:
    """What reviewers say of revisions before they are published."""

    def __init__(self, store: ArticlesStore, now: Callable[[], datetime], *, review_required: bool) -> None:
        self._store = store
        self._now = now
        self._review_required = review_required

    async def request(
        self, caller: Caller, article_id: UUID, number: int, etag: str, context: ChangeContext
    ) -> ListedArticle:
        """Raises ArticleNotFound, NotTheAuthor, EtagMismatch, RevisionNotFound, ReviewStateConflict."""

        async def act(tx: ArticlesTransaction) -> ListedArticle:
            article = await lock(tx, caller, article_id, etag)
            head, before = await find_head(tx, article, number)
            now = self._now()
            review = publishing.requested(article, head.number, before, caller.account_id, now)
            await tx.revisions.keep_review(review)
            return await store_and_tell(tx, "review_requested", article, publishing.touched(article, now))

        return await change_once(self._store, context, act)

    async def decide(
        self,
        caller: Caller,
        article_id: UUID,
        number: int,
        state: ReviewState,
        comment: str,
        context: ChangeContext,
    ) -> ListedArticle:
        """Approves or rejects a revision.

        Raises ArticleNotFound, RevisionNotFound, ReviewStateConflict, OwnRevision.
        """

        async def act(tx: ArticlesTransaction) -> ListedArticle:
            article = check_may_see((await tx.articles.lock_many([article_id])).get(article_id), caller)
            head, before = await find_head(tx, article, number)
            now = self._now()
            review = publishing.decided(before, head, state, caller.account_id, comment, now)
            if state is ReviewState.APPROVED:
                publishing.check_approver(article, head, caller.account_id, review_required=self._review_required)
            await tx.revisions.keep_review(review)
            return await store_and_tell(tx, state.value, article, publishing.touched(article, now))

        return await change_once(self._store, context, act)
