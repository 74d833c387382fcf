"""An article and its translation on their way to readers: drafted, scheduled together, published on time, and found."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from backroom.articles.v1.article_service_pb2 import (
    CreateArticleRequest,
    GetArticleRequest,
    ScheduleArticlesRequest,
    ScheduledArticle,
    SearchArticlesRequest,
    UpdateArticleRequest,
)
from backroom.articles.v1.articles_pb2 import Article
from backroom_client import AsyncBackroom, refusal_of, request_id_for
from replay.calling import NOT_HERE, NotShown, ReplayFailed
from replay.plan import SHOP

_ENGLISH = Article(
    language="en",
    title="How the crème brûlée dish is made (by backroom demo)",
    content="Each dish is fired **twice**.\n\n```python\nfor firing in (1, 2):\n    kiln.heat(1_060)\n```\n",
    tags=["pottery"],
)
_GERMAN = Article(
    language="de",
    title="Wie die Crème-brûlée-Form entsteht (von backroom demo)",
    content="Jede Form wird **zweimal** gebrannt.",
    tags=["pottery"],
)
_LATER = "This sentence is still being written."
QUERY = "creme brulee"
_WAIT_SECONDS = 30.0
"""How long until the articles are live; on time is within 5."""
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class PublishedArticles:
    """What readers see of the articles."""

    articles: Sequence[Article]
    latest_revision: int
    """Of the first one, which readers do not see."""
    found: int
    """How many of them a search without accents finds."""

    @property
    def complete(self) -> bool:
        """Whether the revisions are live that were scheduled, all at one time, and are found."""
        times = {each.publish_time.ToNanoseconds() for each in self.articles}
        pinned = all(each.revision == 1 for each in self.articles) and self.latest_revision == 2
        return pinned and len(times) == 1 and self.found == len(self.articles)


async def publish_articles(client: AsyncBackroom) -> PublishedArticles:
    """Publishes an article and its translation together; a second time changes nothing.

    Raises NotShown, and ReplayFailed where it cannot go on.
    """
    try:
        english = await _create(client, "english", _ENGLISH)
        german = await _create(client, "german", _GERMAN, original_id=english.article_id)
        articles = (english, german)
        await _schedule(client, articles)
        changed = Article(article_id=english.article_id, content=f"{_ENGLISH.content}\n{_LATER}\n")
        update = UpdateArticleRequest(request_id=request_id_for(SHOP, "articles", "update"), article=changed)
        latest = (await client.articles.UpdateArticle(update)).article
        async with asyncio.timeout(_WAIT_SECONDS):
            live = [await _live(client, each.article_id) for each in articles]
        hits = (await client.articles.SearchArticles(SearchArticlesRequest(query=QUERY, page_size=50))).hits
        ids = {each.article_id for each in articles}
        return PublishedArticles(live, latest.revision, sum(hit.article.article_id in ids for hit in hits))
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
        text = f"{refusal.reason}: {refusal.message}" if refusal else error.details() or "no answer"
        if error.code() in NOT_HERE:
            raise NotShown(text) from error
        raise ReplayFailed(f"the articles were not published: {error.code().name}: {text}") from error
    except TimeoutError:
        text = f"the articles were not published within {_WAIT_SECONDS:g} s: is a worker running?"
        raise ReplayFailed(text) from None


async def _create(client: AsyncBackroom, name: str, described: Article, *, original_id: str = "") -> Article:
    article = Article(original_id=original_id)
    article.MergeFrom(described)
    request = CreateArticleRequest(request_id=request_id_for(SHOP, "articles", name), article=article)
    return (await client.articles.CreateArticle(request)).article


async def _schedule(client: AsyncBackroom, articles: Sequence[Article]) -> None:
    """Has their first revisions published together, at once."""
    request = ScheduleArticlesRequest(
        request_id=request_id_for(SHOP, "articles", "schedule"),
        articles=[ScheduledArticle(article_id=each.article_id, revision=1) for each in articles],
        publish_time=Timestamp(seconds=articles[0].create_time.seconds),
    )
    await client.articles.ScheduleArticles(request)


async def _live(client: AsyncBackroom, article_id: str) -> Article:
    """The article as readers see it, as soon as they do."""
    while True:
        try:
            return (await client.articles.GetArticle(GetArticleRequest(article_id=article_id))).article
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
        await asyncio.sleep(_POLL_SECONDS)
