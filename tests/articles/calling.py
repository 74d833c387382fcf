"""Articles, and what callers ask for, for tests of articles."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from google.protobuf.field_mask_pb2 import FieldMask

from backroom.articles.v1 import article_service_pb2 as pb
from backroom.articles.v1 import articles_pb2
from server.frame.wire import timestamp
from tests.fixtures.servers import Api

CONTENT = "Some *text* to be read."
LATEST = articles_pb2.ARTICLE_VIEW_LATEST


def fresh() -> str:
    return str(uuid4())


def article(**rest: Any) -> articles_pb2.Article:
    """An article as its author describes it."""
    return articles_pb2.Article(**{"language": "en", "title": "A title", "content": CONTENT, **rest})


async def made(api: Api, **rest: Any) -> articles_pb2.Article:
    """A new draft."""
    request = pb.CreateArticleRequest(request_id=fresh(), article=article(**rest))
    created: articles_pb2.Article = (await api.articles.CreateArticle(request)).article
    return created


def update(article_id: str, **values: Any) -> pb.UpdateArticleRequest:
    """A request to change these fields of an article, under a request_id of its own."""
    paths = [name for name in values if name != "etag"]
    changed = articles_pb2.Article(article_id=article_id, **values)
    return pb.UpdateArticleRequest(request_id=fresh(), article=changed, update_mask=FieldMask(paths=paths))


async def changed(api: Api, article_id: str, **values: Any) -> articles_pb2.Article:
    answer: articles_pb2.Article = (await api.articles.UpdateArticle(update(article_id, **values))).article
    return answer


async def publish(api: Api, article_id: str, **rest: Any) -> articles_pb2.Article:
    request = pb.PublishArticleRequest(request_id=fresh(), article_id=article_id, **rest)
    answer: articles_pb2.Article = (await api.articles.PublishArticle(request)).article
    return answer


async def published(api: Api, **rest: Any) -> articles_pb2.Article:
    """A new article that readers see."""
    return await publish(api, (await made(api, **rest)).article_id)


async def unpublish(api: Api, article_id: str) -> articles_pb2.Article:
    request = pb.UnpublishArticleRequest(request_id=fresh(), article_id=article_id)
    answer: articles_pb2.Article = (await api.articles.UnpublishArticle(request)).article
    return answer


async def schedule(api: Api, article_id: str, *, at: datetime, **rest: Any) -> articles_pb2.Article:
    request = pb.ScheduleArticleRequest(request_id=fresh(), article_id=article_id, publish_time=timestamp(at), **rest)
    answer: articles_pb2.Article = (await api.articles.ScheduleArticle(request)).article
    return answer


async def found(api: Api, article_id: str, view: Any = articles_pb2.ARTICLE_VIEW_PUBLISHED) -> articles_pb2.Article:
    request = pb.GetArticleRequest(article_id=article_id, view=view)
    answer: articles_pb2.Article = (await api.articles.GetArticle(request)).article
    return answer


async def by_slug(api: Api, slug: str, language: str = "en") -> articles_pb2.Article:
    request = pb.GetArticleRequest(slug=pb.SlugName(language=language, slug=slug))
    answer: articles_pb2.Article = (await api.articles.GetArticle(request)).article
    return answer


async def review(api: Api, article_id: str, revision: int = 0) -> articles_pb2.Article:
    request = pb.RequestReviewRequest(request_id=fresh(), article_id=article_id, revision=revision)
    answer: articles_pb2.Article = (await api.articles.RequestReview(request)).article
    return answer


async def approve(api: Api, article_id: str, revision: int) -> articles_pb2.Article:
    request = pb.ApproveRevisionRequest(request_id=fresh(), article_id=article_id, revision=revision)
    answer: articles_pb2.Article = (await api.articles.ApproveRevision(request)).article
    return answer


async def search(api: Api, query: str, **rest: Any) -> list[articles_pb2.SearchHit]:
    """All hits, over all pages."""
    request = pb.SearchArticlesRequest(query=query, **rest)
    hits: list[articles_pb2.SearchHit] = []
    while True:
        page = await api.articles.SearchArticles(request)
        hits += page.hits
        if not page.next_page_token:
            return hits
        request.page_token = page.next_page_token


async def listed(api: Api, **rest: Any) -> list[articles_pb2.Article]:
    """All articles of a list, over all pages."""
    request = pb.ListArticlesRequest(**rest)
    articles: list[articles_pb2.Article] = []
    while True:
        page = await api.articles.ListArticles(request)
        articles += page.articles
        if not page.next_page_token:
            return articles
        request.page_token = page.next_page_token


def ahead(**later: float) -> datetime:
    return datetime.now(UTC) + timedelta(**later)
