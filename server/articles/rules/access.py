"""Who may see and change which articles."""

from uuid import UUID

from server.articles.errors import ArticleNotFound, NotTheAuthor
from server.frame.caller import Caller
from storage.articles.records import Article, ArticleAudience, ArticleChange, ArticleState

WRITE, EDIT, REVIEW = "articles.write", "articles.edit", "articles.review"


def sees_all(caller: Caller) -> bool:
    """Whether a caller sees everyone's drafts."""
    return caller.may(EDIT) or caller.may(REVIEW)


def sees_drafts(article: Article, caller: Caller) -> bool:
    return sees_all(caller) or (article.author_id == caller.account_id and caller.may(WRITE))


def check_may_see(article: Article | None, caller: Caller) -> Article:
    """The article, of which the caller sees the drafts; raises ArticleNotFound where it does not, or there is none."""
    if article is None or not sees_drafts(article, caller):
        raise ArticleNotFound
    return article


def check_may_change(article: Article | None, caller: Caller) -> Article:
    """The article; raises ArticleNotFound where the caller does not see it at all, and NotTheAuthor where it does."""
    if article is None:
        raise ArticleNotFound
    if may_change(article, caller.account_id, caller.permissions):
        return article
    if article.state is ArticleState.PUBLISHED or sees_drafts(article, caller):
        raise NotTheAuthor(permission=EDIT)
    raise ArticleNotFound


def may_change(article: Article, account_id: UUID, permissions: frozenset[str]) -> bool:
    return EDIT in permissions or (WRITE in permissions and article.author_id == account_id)


def audience_of(caller: Caller, article_id: UUID | None) -> ArticleAudience:
    """Which changes a caller gets."""
    return ArticleAudience(None if sees_all(caller) else caller.account_id, article_id)


def concerns(change: ArticleChange, audience: ArticleAudience) -> bool:
    """Whether an audience gets a change."""
    article = change.listed.article
    if audience.author_id is not None and article.author_id != audience.author_id:
        return False
    return audience.article_id is None or article.id == audience.article_id
