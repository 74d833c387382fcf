"""Articles as they are written: drafts, and what a change makes of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from unicodedata import normalize
from uuid import UUID

from server.articles.rules.folding import MAX_SLUG
from storage.articles.records import Article, ArticleState, RevisionHead

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MAX_TAG = 50
"""In characters."""
SAID = ("title", "summary", "content", "tags")
"""What a revision says; each change of it is a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleDraft:
    """An article as a caller describes it."""

    original_id: UUID | None
    language: str
    slug: str
    """Empty means that it is made from the title."""
    title: str
    summary: str
    content: str
    tags: tuple[str, ...]


def is_language(text: str) -> bool:
    """Whether a text names a language, as a tag of BCP 47 with no more than a script and a region."""
    return _LANGUAGE.fullmatch(text) is not None


def is_slug(text: str) -> bool:
    return len(text) <= MAX_SLUG and _SLUG.fullmatch(text) is not None


def same_tag(tag: str) -> str:
    """A tag as it is kept, so that two that look alike are one."""
    return " ".join(normalize("NFC", tag).lower().split())[:_MAX_TAG]


def created(draft: ArticleDraft, article_id: UUID, original_id: UUID, author_id: UUID, now: datetime) -> Article:
    return Article(
        id=article_id,
        original_id=original_id,
        language=draft.language,
        author_id=author_id,
        slug=draft.slug,
        state=ArticleState.DRAFT,
        revision=1,
        published_revision=None,
        publish_time=None,
        schedule=None,
        link_version=1,
        version=1,
        create_time=now,
        update_time=now,
    )


def first_head(draft: ArticleDraft, article: Article) -> RevisionHead:
    return RevisionHead(
        article_id=article.id,
        number=1,
        title=draft.title,
        summary=draft.summary,
        tags=draft.tags,
        saved_by=article.author_id,
        restored_revision=None,
        create_time=article.create_time,
    )


def next_head(
    head: RevisionHead, values: Mapping[str, Any], saved_by: UUID, now: datetime, *, restored: int | None = None
) -> RevisionHead:
    """The head of the revision after the latest one, with new values."""
    heads = {name: value for name, value in values.items() if name in ("title", "summary", "tags")}
    return replace(
        head, number=head.number + 1, saved_by=saved_by, create_time=now, restored_revision=restored, **heads
    )


def says_otherwise(head: RevisionHead, content: str, values: Mapping[str, Any]) -> bool:
    """Whether values differ from what a revision says."""
    said = {"title": head.title, "summary": head.summary, "tags": head.tags, "content": content}
    return any(said[name] != value for name, value in values.items() if name in said)
