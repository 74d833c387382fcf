"""articles, put together."""

from uuid import UUID

from server.articles.permissions import PERMISSIONS
from server.articles.rules.events import EVENT_TYPES
from server.articles.settings import ArticlesSettings
from server.frame.module import Manifest, Module, Service, Shared, now
from server.frame.personal_data import PersonalData
from storage.database import Database

_READ_AT_ONCE = 32
"""Of articles in one statement: each may have more than a megabyte."""


def build(shared: Shared, settings: ArticlesSettings) -> Module:
    """Imports what it is made of here: a process that does not serve articles has neither its code nor its contract."""
    from backroom.articles.v1 import article_service_pb2, article_service_pb2_grpc
    from server.articles.http.routes import PublicRoutes
    from server.articles.jobs import tasks
    from server.articles.rendering import Rendering
    from server.articles.service import Articles, Previews, Publishing, Reviewing, Writing
    from server.articles.servicer import ArticleServicer
    from server.frame.batching import Batcher
    from server.frame.http import HttpCallers
    from storage.articles.records import WholeArticle
    from storage.articles.store import ARTICLES

    store, now, new_id = shared.database.store(ARTICLES), shared.now, shared.new_id
    rendering, review = Rendering(), settings.articles_review
    articles = Articles(store, rendering, now)
    writing = Writing(store, rendering, now, new_id, review_required=review)
    publishing = Publishing(store, now, new_id, review_required=review)
    reviewing = Reviewing(store, now, review_required=review)
    previews = Previews(store, shared.authentication.permissions_of, now)
    routes = PublicRoutes(
        articles,
        previews,
        HttpCallers(shared.authentication, shared.trusted_proxies),
        shared.master_keys,
        shared.logger,
        url=settings.articles_url,
        title=settings.articles_title,
    )
    longest = shared.database.limits.answer
    reading = Batcher[UUID, WholeArticle](articles.read, largest=_READ_AT_ONCE, longest_seconds=longest)
    servicer = ArticleServicer(articles, reading, writing, publishing, reviewing, previews, routes)
    return Module(
        services=(Service(article_service_pb2, article_service_pb2_grpc, servicer),),
        tasks=tasks(publishing),
        routes=routes.routes(),
        batchers=(reading,),
        feeds=(articles.feed,),
        closing=(rendering.processes.close,),
    )


def personal_data(database: Database) -> PersonalData:
    from server.articles.service.authors import AuthorsData
    from storage.articles.store import ARTICLES

    return AuthorsData(database.store(ARTICLES), now)


MANIFEST = Manifest(
    name="articles", build=build, permissions=PERMISSIONS, event_types=EVENT_TYPES, personal_data=personal_data
)
