"""Articles as readers get them: one by its id, and a search; rendered when they were saved, as Backroom's are."""

from collections.abc import AsyncIterator
from datetime import datetime
from html import escape
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Security, status
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import joinedload, selectinload

from bench.peers.usual.article_models import Article, Revision
from bench.peers.usual.errors import Refusal
from bench.peers.usual.schemas import Out
from bench.peers.usual.security import get_caller

router = APIRouter(prefix="/articles", tags=["articles"])

_PUBLISHED = "published"
_BEGIN, _END = "\x02", "\x03"
_OPTIONS = f'StartSel="{_BEGIN}", StopSel="{_END}", MaxWords=35, MinWords=15'


class TranslationOut(Out):
    id: UUID
    language: str
    slug: str


class SummaryOut(Out):
    id: UUID
    original_id: UUID
    language: str
    slug: str
    author_id: UUID
    state: str
    title: str
    summary: str
    tags: list[str]
    revision: int
    publish_time: datetime | None
    create_time: datetime
    update_time: datetime


class ArticleOut(SummaryOut):
    content: str
    html: str
    translations: list[TranslationOut]


class HitOut(Out):
    article: SummaryOut
    rank: float
    title_html: str
    snippet_html: str


class ArticleNotFound(Refusal):
    """No published article has this id."""

    status_code = status.HTTP_404_NOT_FOUND
    reason = "ARTICLE_NOT_FOUND"


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    sessions: async_sessionmaker[AsyncSession] = request.app.state.sessions
    async with sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session, scope="function")]
Browsing = Security(get_caller, scopes=["articles.browse"])


def _summary(article: Article, revision: Revision) -> dict[str, object]:
    names = ("id", "original_id", "language", "slug", "author_id", "state", "publish_time", "create_time")
    said = {"title": revision.title, "summary": revision.summary, "tags": revision.tags, "revision": revision.number}
    return {name: getattr(article, name) for name in (*names, "update_time")} | said


@router.get("/search", dependencies=[Browsing])
async def search(
    session: Session,
    query: Annotated[str, Query(min_length=1, max_length=200)],
    limit: Annotated[int, Query(le=50)] = 20,
) -> list[HitOut]:
    asked = func.websearch_to_tsquery("simple", query)
    rank = func.ts_rank(Revision.search, asked).label("rank")
    title = func.ts_headline("simple", Revision.title, asked, f"{_OPTIONS}, HighlightAll=true")
    snippet = func.ts_headline("simple", Revision.plain, asked, _OPTIONS)
    statement = (
        select(Article, Revision, rank, title, snippet)
        .join(Revision, Article.published_id == Revision.id)
        .where(Article.state == _PUBLISHED, Revision.search.op("@@")(asked))
        .order_by(rank.desc(), Article.id.desc())
        .limit(limit)
    )
    return [
        HitOut(
            article=SummaryOut.model_validate(_summary(article, revision)),
            rank=found,
            title_html=_marked(head),
            snippet_html=_marked(part),
        )
        for article, revision, found, head, part in await session.execute(statement)
    ]


@router.get("/{article_id}", dependencies=[Browsing])
async def get_article(session: Session, article_id: UUID) -> ArticleOut:
    loaded = (joinedload(Article.published), selectinload(Article.translations))
    article = await session.get(Article, article_id, options=loaded)
    if article is None or article.published is None or article.state != _PUBLISHED:
        raise ArticleNotFound
    published = article.published
    translations = [TranslationOut.model_validate(each) for each in article.translations if each.state == _PUBLISHED]
    said = {"content": published.content, "html": published.html, "translations": translations}
    return ArticleOut.model_validate(_summary(article, published) | said)


def _marked(text: str) -> str:
    return escape(text).replace(_BEGIN, "<mark>").replace(_END, "</mark>")
