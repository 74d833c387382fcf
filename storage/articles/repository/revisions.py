from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert
from sqlalchemy.dialects.postgresql import insert as upsert

from storage.articles.records import Review, Revision, RevisionHead
from storage.articles.repository.rows import BODIES, BODY, head_of, heads_of_revisions
from storage.articles.tables import reviews, revisions
from storage.base import Reader, Repository, column_names, row_maker

_ONE = (revisions.c.article_id == bindparam("article_id")) & (revisions.c.number == bindparam("wanted"))
_FIND = heads_of_revisions(*BODY).where(_ONE)
_FIND_HEAD = heads_of_revisions().where(_ONE)
_LIST = (
    heads_of_revisions()
    .where(revisions.c.article_id == bindparam("article_id"))
    .order_by(revisions.c.number.desc())
    .limit(bindparam("most"))
)
_REVIEW = row_maker(column_names(reviews))
_HEAD = row_maker(("article_id", "number", "title", "summary", "tags", "saved_by", "restored_revision", "create_time"))
_BODY = row_maker(("content", "html", "plain"))


class RevisionReader(Reader):
    """Revisions of articles with their reviews, as they are stored."""

    async def find(self, article_id: UUID, number: int) -> tuple[Revision, Review | None] | None:
        row = (await self._connection.execute(_FIND, {"article_id": article_id, "wanted": number})).first()
        if row is None:
            return None
        head, review = head_of(row)
        return Revision(head, BODIES.one(row)), review

    async def find_head(self, article_id: UUID, number: int) -> tuple[RevisionHead, Review | None] | None:
        """The same without what it says."""
        row = (await self._connection.execute(_FIND_HEAD, {"article_id": article_id, "wanted": number})).first()
        return head_of(row) if row is not None else None

    async def list_latest(
        self, article_id: UUID, *, before: int | None, limit: int
    ) -> Sequence[tuple[RevisionHead, Review | None]]:
        """Revisions of an article, the latest first, below a number."""
        statement = _LIST if before is None else _LIST.where(revisions.c.number < before)
        values = {"article_id": article_id, "most": limit}
        return [head_of(row) for row in await self._connection.execute(statement, values)]


class RevisionRepository(RevisionReader, Repository):
    """Revisions, which are added and never changed, and their reviews; the article is locked before."""

    async def add(self, revision: Revision) -> None:
        """Adds a revision to an article that was locked or added in this transaction."""
        await self._connection.execute(insert(revisions).values(**_row(revision)))

    async def keep_review(self, review: Review) -> None:
        """Stores the review of a revision in place of the one that it had."""
        statement = upsert(reviews).values(**_REVIEW(review))
        values = {name: statement.excluded[name] for name in column_names(reviews)[2:]}
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=["article_id", "revision"], set_=values)
        )


def _row(revision: Revision) -> dict[str, Any]:
    return {**_HEAD(revision.head), **_BODY(revision.body), "tags": list(revision.head.tags)}
