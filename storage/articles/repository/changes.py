import json
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Row, Select, cast, select, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.articles.records import (
    Article,
    ArticleAudience,
    ArticleChange,
    ArticleState,
    ListedArticle,
    Review,
    ReviewState,
    RevisionHead,
    Schedule,
)
from storage.frame.records import ChangePage, LogRange
from storage.frame.tables import events
from storage.log import LogReader

_EVENT = ("sequence", "type", "subject_id", "data")


class ArticleChangeReader(LogReader):
    """What happened to articles, from the log of events, which has all that is told of each."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection, events, events.c.type.like("article.%"))

    async def list_changes(
        self, log_range: LogRange, limit: int, audience: ArticleAudience
    ) -> ChangePage[ArticleChange]:
        """The changes among the first `limit` of a range that an audience gets."""

        def visible(page: CTE) -> Select[Any]:
            return select(page).where(_concerns(page, audience))

        found, last = await self._read(log_range, limit, _EVENT, visible)
        return ChangePage([_change(row) for row in found], last)


def _concerns(page: CTE, audience: ArticleAudience) -> ColumnElement[bool]:
    concerns: ColumnElement[bool] = true()
    if audience.author_id is not None:
        concerns &= cast(page.c.data, JSONB)["author_id"].astext == str(audience.author_id)
    if audience.article_id is not None:
        concerns &= page.c.subject_id == audience.article_id
    return concerns


def _change(row: Row[Any]) -> ArticleChange:
    data = json.loads(row.data)
    article = Article(
        id=row.subject_id,
        original_id=UUID(data["original_id"]),
        language=data["language"],
        author_id=UUID(data["author_id"]),
        slug=data["slug"],
        state=ArticleState(data["state"]),
        revision=data["revision"],
        published_revision=data["published_revision"],
        publish_time=_time(data["publish_time"]),
        schedule=_schedule(data["schedule"]),
        link_version=data["link_version"],
        version=data["version"],
        create_time=datetime.fromisoformat(data["create_time"]),
        update_time=datetime.fromisoformat(data["update_time"]),
    )
    head = RevisionHead(
        article_id=article.id,
        number=article.revision,
        title=data["title"],
        summary=data["summary"],
        tags=tuple(data["tags"]),
        saved_by=UUID(data["saved_by"]),
        restored_revision=data["restored_revision"],
        create_time=datetime.fromisoformat(data["save_time"]),
    )
    listed = ListedArticle(article, head, _review(article, data["review"]))
    return ArticleChange(row.sequence, row.type.removeprefix("article."), listed)


def _schedule(data: Any) -> Schedule | None:
    if data is None:
        return None
    return Schedule(UUID(data["schedule_id"]), data["revision"], datetime.fromisoformat(data["publish_time"]))


def _review(article: Article, data: Any) -> Review | None:
    if data is None:
        return None
    return Review(
        article_id=article.id,
        revision=article.revision,
        state=ReviewState(data["state"]),
        requested_by=UUID(data["requested_by"]),
        request_time=datetime.fromisoformat(data["request_time"]),
        decided_by=UUID(data["decided_by"]) if data["decided_by"] else None,
        decide_time=_time(data["decide_time"]),
        comment=data["comment"],
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
