"""What the tests of the contract are told of articles."""

from collections.abc import Mapping, Sequence

from google.protobuf.message import Message

from backroom.articles.v1 import article_service_pb2 as pb
from server.frame.wire import timestamp
from tests.articles.calling import LATEST, ahead, article, found, made, review, update
from tests.commerce.goods import raw
from tests.contract.rows import ContractRows
from tests.contract.scenario import Scenario, fresh
from tests.fixtures.servers import Api, Running

_ONE = "article/{answer.article.article_id}"


async def write(scenario: Scenario) -> None:
    """An article, from its first draft to its end."""
    admin = scenario.admin
    create = pb.CreateArticleRequest(request_id=fresh(), article=article())
    article_id = (await scenario.change(admin, "CreateArticle", create, _ONE)).article.article_id
    named, one = {"article_id": article_id}, f"article/{article_id}"
    await scenario.change(admin, "UpdateArticle", update(article_id, content="Another text."), _ONE)
    restore = pb.RestoreRevisionRequest(request_id=fresh(), revision=1, **named)
    await scenario.change(admin, "RestoreRevision", restore, _ONE)
    link = pb.CreatePreviewLinkRequest(request_id=fresh(), **named)
    await scenario.change(admin, "CreatePreviewLink", link, one)
    await scenario.change(admin, "RevokePreviewLinks", pb.RevokePreviewLinksRequest(request_id=fresh(), **named), one)
    await scenario.change(admin, "RequestReview", pb.RequestReviewRequest(request_id=fresh(), **named), _ONE)
    approve = pb.ApproveRevisionRequest(request_id=fresh(), revision=3, **named)
    await scenario.change(admin, "ApproveRevision", approve, _ONE)
    await review(admin, article_id, 2)
    reject = pb.RejectRevisionRequest(request_id=fresh(), revision=2, comment="Too short", **named)
    await scenario.change(admin, "RejectRevision", reject, _ONE)
    await scenario.change(admin, "PublishArticle", pb.PublishArticleRequest(request_id=fresh(), **named), _ONE)
    await scenario.change(admin, "UnpublishArticle", pb.UnpublishArticleRequest(request_id=fresh(), **named), _ONE)
    await scenario.change(admin, "DeleteArticle", pb.DeleteArticleRequest(request_id=fresh(), **named), one)


async def schedule(scenario: Scenario) -> None:
    """Articles that are to be published later."""
    admin, publish_time = scenario.admin, timestamp(ahead(days=1))
    ids = [(await made(admin, title=title)).article_id for title in ("One", "Two")]
    one = pb.ScheduleArticleRequest(request_id=fresh(), article_id=ids[0], publish_time=publish_time)
    await scenario.change(admin, "ScheduleArticle", one, _ONE)
    both = pb.ScheduleArticlesRequest(request_id=fresh(), publish_time=publish_time)
    both.articles.extend(pb.ScheduledArticle(article_id=each) for each in ids)
    await scenario.change(admin, "ScheduleArticles", both, *(f"article/{each}" for each in ids))
    back = pb.UnscheduleArticleRequest(request_id=fresh(), article_id=ids[0])
    await scenario.change(admin, "UnscheduleArticle", back, _ONE)


async def owned(_server: Running, owner: Api) -> Mapping[str, str]:
    """A draft."""
    return {"article": (await made(owner)).article_id}


async def state(owner: Api, ids: Mapping[str, str]) -> object:
    """The draft as it is."""
    return raw(await found(owner, ids["article"], LATEST))


async def secret_answers(_server: Running, admin: Api) -> Sequence[Message]:
    request = pb.CreatePreviewLinkRequest(request_id=fresh(), article_id=(await made(admin)).article_id)
    return [await admin.articles.CreatePreviewLink(request)]


_DRAFTS = (
    *("DeleteArticle", "PublishArticle", "UnpublishArticle", "ScheduleArticle", "UnscheduleArticle"),
    *("RequestReview", "GetRevision", "ListRevisions", "DiffRevisions", "RestoreRevision", "CreatePreviewLink"),
    "RevokePreviewLinks",
)
_REVIEWERS = "whoever reviews one article may review all of them"
_CHOOSES = "it chooses from what the caller may see, and nothing is looked up"

ROWS = ContractRows(
    changes=(write, schedule),
    everyones={
        ("ArticleService/ApproveRevision", "article_id"): _REVIEWERS,
        ("ArticleService/RejectRevision", "article_id"): _REVIEWERS,
        ("ArticleService/ListArticles", "author_id"): _CHOOSES,
        ("ArticleService/WatchArticles", "article_id"): _CHOOSES,
        ("ArticleService/GetArticle", "article_id"): "what is published is everyone's; of drafts, a test of articles",
        ("ArticleService/UpdateArticle", "article.original_id"): "it cannot be changed, and is ignored",
        ("ArticleService/CreateArticle", "article.original_id"): (
            "the simplest request has no language, and is refused before; a test of articles has one"
        ),
    },
    own={
        **{(f"ArticleService/{name}", "article_id"): "article" for name in _DRAFTS},
        ("ArticleService/UpdateArticle", "article.article_id"): "article",
        ("ArticleService/ScheduleArticles", "articles.article_id"): "article",
    },
    permissions=("articles.browse", "articles.write"),
    owned=owned,
    state=state,
    shows_secrets=frozenset({"ArticleService/CreatePreviewLink"}),
    secret_answers=secret_answers,
)
