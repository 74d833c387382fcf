from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

from storage.base import METADATA

_TIME = DateTime(timezone=True)
_PUBLISHED = text("state = 'published'")
_SCHEDULED = text("schedule_time IS NOT NULL")

articles = Table(
    "articles",
    METADATA,
    Column("id", Uuid, primary_key=True),
    # The same for an article and its translations; it stays where the original is deleted.
    Column("original_id", Uuid, nullable=False),
    Column("language", Text, nullable=False),
    Column("author_id", Uuid, nullable=False),
    Column("slug", Text, nullable=False),
    Column("state", Text, nullable=False),
    # The number of the latest revision.
    Column("revision", Integer, nullable=False),
    # Kept where the article was unpublished.
    Column("published_revision", Integer),
    Column("publish_time", _TIME),
    # What is to be published and when; together with whatever has the same schedule.
    Column("schedule_id", Uuid),
    Column("schedule_revision", Integer),
    Column("schedule_time", _TIME),
    # Preview links are of a version; those of an earlier one are revoked.
    Column("link_version", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("update_time", _TIME, nullable=False),
    UniqueConstraint("original_id", "language"),
    CheckConstraint("state IN ('draft', 'published', 'unpublished')", name="state"),
    CheckConstraint(
        "(state = 'draft') = (published_revision IS NULL) AND (state = 'draft') = (publish_time IS NULL)",
        name="published",
    ),
    CheckConstraint("num_nulls(schedule_id, schedule_revision, schedule_time) IN (0, 3)", name="schedule"),
    CheckConstraint(
        "1 <= ALL (ARRAY[revision, coalesce(published_revision, 1), coalesce(schedule_revision, 1)])"
        " AND revision >= ALL (ARRAY[coalesce(published_revision, 1), coalesce(schedule_revision, 1)])",
        name="revisions",
    ),
    # One for each list, in the order that it is answered in.
    Index("ix_articles_by_time", "create_time", "id"),
    Index("ix_articles_by_author", "author_id", "create_time", "id"),
    Index("ix_articles_published", "publish_time", "id", postgresql_where=_PUBLISHED),
    Index("ix_articles_published_in", "language", "publish_time", "id", postgresql_where=_PUBLISHED),
    Index("ix_articles_published_by", "author_id", "publish_time", "id", postgresql_where=_PUBLISHED),
    Index("ix_articles_due", "schedule_time", postgresql_where=_SCHEDULED),
    Index("ix_articles_schedule", "schedule_id", postgresql_where=_SCHEDULED),
    schema="articles",
)

# A trigger refuses to change a row.
revisions = Table(
    "revisions",
    METADATA,
    Column("article_id", Uuid, ForeignKey("articles.articles.id"), nullable=False),
    # Counts from 1 on.
    Column("number", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
    # The content as it was rendered and sanitized, and its text alone, of which no more than can be searched.
    Column("html", Text, nullable=False),
    Column("plain", Text, nullable=False),
    Column("saved_by", Uuid, nullable=False),
    Column("restored_revision", Integer),
    Column("create_time", _TIME, nullable=False),
    PrimaryKeyConstraint("article_id", "number"),
    CheckConstraint("number > 0", name="number"),
    CheckConstraint("char_length(title) BETWEEN 1 AND 200 AND char_length(content) >= 10", name="sizes"),
    schema="articles",
)

reviews = Table(
    "reviews",
    METADATA,
    Column("article_id", Uuid, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("requested_by", Uuid, nullable=False),
    Column("request_time", _TIME, nullable=False),
    Column("decided_by", Uuid),
    Column("decide_time", _TIME),
    Column("comment", Text, nullable=False),
    PrimaryKeyConstraint("article_id", "revision"),
    ForeignKeyConstraint(["article_id", "revision"], ["articles.revisions.article_id", "articles.revisions.number"]),
    CheckConstraint("state IN ('pending', 'approved', 'rejected')", name="state"),
    CheckConstraint(
        "(state = 'pending') = (decided_by IS NULL) AND (state = 'pending') = (decide_time IS NULL)", name="decided"
    ),
    Index("ix_reviews_by_decider", "decided_by"),
    schema="articles",
)

slugs = Table(
    "slugs",
    METADATA,
    # Those that articles have, and those that they had.
    Column("language", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("article_id", Uuid, ForeignKey("articles.articles.id"), nullable=False),
    PrimaryKeyConstraint("language", "slug"),
    Index("ix_slugs_by_article", "article_id"),
    schema="articles",
)

taggings = Table(
    "taggings",
    METADATA,
    # Of the latest revision, or of the published one.
    Column("listing", Text, nullable=False),
    Column("tag", Text, nullable=False),
    Column("article_id", Uuid, ForeignKey("articles.articles.id"), nullable=False),
    # When the article was created, or published: what the list is in the order of.
    Column("time", _TIME, nullable=False),
    PrimaryKeyConstraint("article_id", "listing", "tag"),
    CheckConstraint("listing IN ('latest', 'published')", name="listing"),
    Index("ix_taggings_by_tag", "listing", "tag", "time", "article_id"),
    schema="articles",
)

search_documents = Table(
    "search_documents",
    METADATA,
    # Of published articles alone.
    Column("article_id", Uuid, ForeignKey("articles.articles.id"), primary_key=True),
    Column("language", Text, nullable=False),
    Column("publish_time", _TIME, nullable=False),
    # The title and the text without accents; of as many characters as there are with them, so that what is found in one
    # is in the other at the same place.
    Column("folded_title", Text, nullable=False),
    Column("plain", Text, nullable=False),
    Column("folded", Text, nullable=False),
    # The words as they are written, and their stems in the article's language.
    Column("words", TSVECTOR, nullable=False),
    Column("stems", TSVECTOR, nullable=False),
    CheckConstraint("char_length(plain) = char_length(folded)", name="places"),
    Index("ix_search_documents_words", "words", postgresql_using="gin"),
    Index("ix_search_documents_stems", "stems", postgresql_using="gin"),
    Index("ix_search_documents_by_time", "publish_time", "article_id"),
    schema="articles",
)
