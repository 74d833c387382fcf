"""What becomes of an article: published, scheduled, reviewed, taken back."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from server.articles.errors import (
    ArticleNotScheduled,
    ArticleStateConflict,
    OwnRevision,
    ReviewRequired,
    ReviewStateConflict,
)
from server.articles.rules.access import EDIT
from server.articles.rules.folding import folded
from server.frame.caller import Caller
from server.frame.editing import changed
from storage.articles.records import (
    Article,
    ArticleState,
    Review,
    ReviewState,
    Revision,
    RevisionHead,
    Schedule,
    SearchDocument,
)


def published(article: Article, number: int, now: datetime) -> Article:
    """The article with this revision before its readers, and without a schedule."""
    again = article.state is ArticleState.PUBLISHED
    return _changed(
        article,
        now,
        state=ArticleState.PUBLISHED,
        published_revision=number,
        publish_time=article.publish_time if again else now,
        schedule=None,
    )


def unpublished(article: Article, now: datetime) -> Article:
    """Raises ArticleStateConflict where it is not published."""
    if article.state is not ArticleState.PUBLISHED:
        raise ArticleStateConflict(state=article.state.name, needed=ArticleState.PUBLISHED.name)
    return _changed(article, now, state=ArticleState.UNPUBLISHED, schedule=None)


def scheduled(article: Article, schedule: Schedule, now: datetime) -> Article:
    return _changed(article, now, schedule=schedule)


def unscheduled(article: Article, now: datetime) -> Article:
    """Raises ArticleNotScheduled."""
    if article.schedule is None:
        raise ArticleNotScheduled
    return _changed(article, now, schedule=None)


def check_deletable(article: Article) -> None:
    """Raises ArticleStateConflict where readers see it."""
    if article.state is ArticleState.PUBLISHED:
        needed = f"{ArticleState.DRAFT.name} or {ArticleState.UNPUBLISHED.name}"
        raise ArticleStateConflict(state=article.state.name, needed=needed)


def check_publishable(number: int, review: Review | None, *, review_required: bool) -> None:
    """Raises ReviewRequired where a revision was not approved, and has to be."""
    if review_required and (review is None or review.state is not ReviewState.APPROVED):
        raise ReviewRequired(revision=str(number))


def check_slug_changeable(article: Article, caller: Caller, *, review_required: bool) -> None:
    """Raises ReviewRequired where readers would see a slug that nobody but the author has seen."""
    if review_required and article.state is ArticleState.PUBLISHED and not caller.may(EDIT):
        raise ReviewRequired(revision=str(article.revision))


def requested(article: Article, number: int, before: Review | None, caller_id: UUID, now: datetime) -> Review:
    """A review of a revision; raises ReviewStateConflict where one is pending, or it was approved."""
    if before is not None and before.state is not ReviewState.REJECTED:
        raise ReviewStateConflict(revision=str(number), state=before.state.name, needed="none or REJECTED")
    return Review(article.id, number, ReviewState.PENDING, caller_id, now, None, None, "")


def decided(
    review: Review | None, head: RevisionHead, state: ReviewState, by: UUID, comment: str, now: datetime
) -> Review:
    """Raises ReviewStateConflict where no review is pending."""
    if review is None or review.state is not ReviewState.PENDING:
        found = review.state.name if review else "not requested"
        raise ReviewStateConflict(revision=str(head.number), state=found, needed=ReviewState.PENDING.name)
    return Review(review.article_id, review.revision, state, review.requested_by, review.request_time, by, now, comment)


def check_approver(article: Article, head: RevisionHead, approver: UUID, *, review_required: bool) -> None:
    """Raises OwnRevision where somebody would approve what they wrote themselves, and that matters."""
    if review_required and approver in (article.author_id, head.saved_by):
        raise OwnRevision


def touched(article: Article, now: datetime) -> Article:
    """The article at its next version: something of it has changed that the article itself does not hold."""
    return replace(article, version=article.version + 1, update_time=now)


def document_of(article: Article, revision: Revision) -> SearchDocument:
    """What is searched of a published article."""
    assert article.publish_time is not None  # noqa: S101 - it is published
    head = revision.head
    return SearchDocument(
        article_id=article.id,
        language=article.language,
        publish_time=article.publish_time,
        plain=revision.body.plain,
        folded=folded(revision.body.plain),
        folded_title=folded(head.title),
        folded_summary=folded(" ".join((head.summary, *head.tags))),
    )


def _changed(article: Article, now: datetime, **values: Any) -> Article:
    return changed(article, values, now)
