"""How rows of articles with one of their revisions are selected, and what is made of them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Row, Select, and_, literal, select

from storage.articles.records import (
    Article,
    ArticleState,
    ListedArticle,
    Listing,
    Review,
    ReviewState,
    RevisionBody,
    RevisionHead,
    Schedule,
)
from storage.articles.tables import articles, reviews, revisions
from storage.base import Records

# Written out, since indexes have the published ones alone: a plan for any state could not use them.
PUBLISHED = articles.c.state == literal(ArticleState.PUBLISHED.value, literal_execute=True)

_HEAD = (
    revisions.c.number,
    revisions.c.title,
    revisions.c.summary,
    revisions.c.tags,
    revisions.c.saved_by,
    revisions.c.restored_revision,
    revisions.c.create_time.label("save_time"),
)
_REVIEW = (
    reviews.c.state.label("review_state"),
    reviews.c.requested_by,
    reviews.c.request_time,
    reviews.c.decided_by,
    reviews.c.decide_time,
    reviews.c.comment,
)
BODY = (revisions.c.content, revisions.c.html, revisions.c.plain)


def _schedule(schedule_id: UUID | None, revision: Any, publish_time: Any) -> Schedule | None:
    return Schedule(schedule_id, revision, publish_time) if schedule_id is not None else None


ARTICLES = Records(
    Article, state=ArticleState, schedule=(_schedule, "schedule_id", "schedule_revision", "schedule_time")
)
_HEADS = Records(RevisionHead, article_id="id", create_time="save_time", tags=tuple)
_REVIEWS = Records(Review, article_id="id", revision="number", state=(ReviewState, "review_state"))
BODIES = Records(RevisionBody)


def _reviewed() -> ColumnElement[bool]:
    return and_(reviews.c.article_id == revisions.c.article_id, reviews.c.revision == revisions.c.number)


def listed_articles(listing: Listing, *more: Any, of: FromClause = articles) -> Select[Any]:
    """Articles with their latest revision, or the published ones with the one that is; `of` has articles in it."""
    number = articles.c.revision if listing is Listing.LATEST else articles.c.published_revision
    mine = and_(revisions.c.article_id == articles.c.id, revisions.c.number == number)
    source = of.join(revisions, mine).join(reviews, _reviewed(), isouter=True)
    statement = select(*articles.c, *_HEAD, *_REVIEW, *more).select_from(source)
    return statement.where(PUBLISHED) if listing is Listing.PUBLISHED else statement


def heads_of_revisions(*more: Any) -> Select[Any]:
    """Revisions with their reviews."""
    source = revisions.join(reviews, _reviewed(), isouter=True)
    return select(revisions.c.article_id.label("id"), *_HEAD, *_REVIEW, *more).select_from(source)


def listed(rows: Sequence[Row[Any]]) -> list[ListedArticle]:
    """The articles of one statement's rows."""
    heads = _HEADS.all(rows)
    return [
        ListedArticle(article, head, _review_of(row))
        for article, head, row in zip(ARTICLES.all(rows), heads, rows, strict=True)
    ]


def head_of(row: Row[Any]) -> tuple[RevisionHead, Review | None]:
    return _HEADS.one(row), _review_of(row)


def _review_of(row: Row[Any]) -> Review | None:
    return _REVIEWS.one(row) if row.review_state is not None else None
