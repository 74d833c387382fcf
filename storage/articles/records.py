from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class ArticleState(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"
    UNPUBLISHED = "unpublished"


class ReviewState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class Listing(StrEnum):
    """Which revisions a list shows."""

    LATEST = "latest"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is to be published, and when."""

    id: UUID
    """The same for articles that are published together."""
    revision: int
    publish_time: datetime


@dataclass(frozen=True, slots=True)
class Article:
    """An article in one language, without what its revisions say."""

    id: UUID
    original_id: UUID
    """The same for all translations of an article."""
    language: str
    author_id: UUID
    slug: str
    state: ArticleState
    revision: int
    """The number of the latest one."""
    published_revision: int | None
    """Kept where the article was unpublished."""
    publish_time: datetime | None
    schedule: Schedule | None
    link_version: int
    """Preview links that hold good are of this version."""
    version: int
    """Counts the changes from 1 on."""
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class RevisionHead:
    """What lists show of a revision."""

    article_id: UUID
    number: int
    title: str
    summary: str
    tags: tuple[str, ...]
    saved_by: UUID
    restored_revision: int | None
    create_time: datetime


@dataclass(frozen=True, slots=True)
class RevisionBody:
    """What was written, and what it was rendered to."""

    content: str
    """Markdown."""
    html: str
    """Sanitized."""
    plain: str
    """The text alone, in Unicode's form NFC."""


@dataclass(frozen=True, slots=True)
class Revision:
    """An article as it was saved; it never changes."""

    head: RevisionHead
    body: RevisionBody


@dataclass(frozen=True, slots=True)
class Review:
    article_id: UUID
    revision: int
    state: ReviewState
    requested_by: UUID
    request_time: datetime
    decided_by: UUID | None
    decide_time: datetime | None
    comment: str


@dataclass(frozen=True, slots=True)
class Translation:
    """The version of an article in another language."""

    article_id: UUID
    language: str
    slug: str
    title: str


@dataclass(frozen=True, slots=True)
class ArticleFilter:
    """Which articles to list; None means any."""

    listing: Listing
    language: str | None = None
    tag: str | None = None
    author_id: UUID | None = None
    state: ArticleState | None = None
    scheduled: bool = False
    review_state: ReviewState | None = None


@dataclass(frozen=True, slots=True)
class ListedArticle:
    """An article as lists show it, with one of its revisions."""

    article: Article
    head: RevisionHead
    review: Review | None

    @property
    def id(self) -> UUID:
        return self.article.id

    @property
    def create_time(self) -> datetime:
        return self.article.create_time

    @property
    def publish_time(self) -> datetime:
        """Of one that was published."""
        assert self.article.publish_time is not None  # noqa: S101 - its caller lists published ones
        return self.article.publish_time


@dataclass(frozen=True, slots=True)
class WholeArticle:
    """An article with one of its revisions, what that says, and the other versions that whoever asks may see."""

    listed: ListedArticle
    body: RevisionBody
    translations: tuple[Translation, ...]


@dataclass(frozen=True, slots=True)
class SearchDocument:
    """What is searched of a published article; text without accents is as long as the text itself."""

    article_id: UUID
    language: str
    publish_time: datetime
    plain: str
    folded: str
    folded_title: str
    folded_summary: str
    """With the tags."""


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What is searched for."""

    text: str
    """As people write it, without accents."""
    language: str | None
    """None means every one, in which words are matched as they are written."""
    as_of: datetime
    """Articles that were published later are not found, so that pages fit together."""


@dataclass(frozen=True, slots=True)
class Match:
    """A published article that a search found."""

    listed: ListedArticle
    rank: float
    folded_title: str
    """In which matches are between MATCH_BEGIN and MATCH_END."""
    folded_snippet: str
    """The same of a part of the text."""
    snippet: str
    """That part of the text itself."""
    as_of: datetime


@dataclass(frozen=True, slots=True)
class PublishedPage:
    """Where a published article is, for a sitemap."""

    article_id: UUID
    language: str
    slug: str
    publish_time: datetime
    update_time: datetime
    """When what readers see was published or saved, whichever is later."""


@dataclass(frozen=True, slots=True)
class ArticleAudience:
    """Whom changes of articles are sent to; with nothing set, changes of every article."""

    author_id: UUID | None = None
    article_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ArticleChange:
    """One change of an article, and the article as it was after it."""

    sequence: int
    happened: str
    """Such as "published"."""
    listed: ListedArticle


MATCH_BEGIN, MATCH_END = "\x02", "\x03"
"""Around what a search matched, in plain text; no text that is stored has these characters."""
