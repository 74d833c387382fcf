"""What a preview link permits."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.articles.rules.access import may_change
from storage.articles.records import Article

VALID_MINUTES = 60
"""For how long a link holds good that does not say otherwise."""


@dataclass(frozen=True, slots=True)
class PreviewLink:
    """What a link permits: to read one revision of one article."""

    article_id: UUID
    revision: int
    account_id: UUID
    """By whose rights it is read, as they are then."""
    version: int
    """The article's link_version when it was made."""
    until: int
    """In seconds since 1970."""


def holds_good(link: PreviewLink, article: Article, permissions: frozenset[str] | None, now: datetime) -> bool:
    """Whether a link may be used, by what its account may do now; None where that is disabled or gone."""
    if permissions is None or not may_change(article, link.account_id, permissions):
        return False
    return link.version == article.link_version and now.timestamp() < link.until
