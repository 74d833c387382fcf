"""The tables of articles: each with its revisions, of which readers see one, and what is searched of that."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Computed, ForeignKey, Index, Text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bench.peers.usual.models import Base


class Article(Base):
    __tablename__ = "articles"
    __table_args__ = (Index("ix_articles_by_slug", "language", "slug", unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    original_id: Mapped[UUID] = mapped_column(index=True)
    language: Mapped[str]
    slug: Mapped[str]
    author_id: Mapped[UUID]
    state: Mapped[str]
    published_id: Mapped[UUID | None] = mapped_column(ForeignKey("revisions.id", use_alter=True))
    publish_time: Mapped[datetime | None]
    version: Mapped[int]
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]

    published: Mapped["Revision | None"] = relationship(foreign_keys=[published_id])
    translations: Mapped[list["Article"]] = relationship(
        primaryjoin="and_(foreign(Article.original_id) == remote(Article.original_id),"
        " foreign(Article.id) != remote(Article.id))",
        viewonly=True,
        uselist=True,
    )


class Revision(Base):
    __tablename__ = "revisions"
    __table_args__ = (Index("ix_revisions_search", "search", postgresql_using="gin"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    article_id: Mapped[UUID] = mapped_column(ForeignKey("articles.id"), index=True)
    number: Mapped[int]
    title: Mapped[str]
    summary: Mapped[str]
    content: Mapped[str]
    html: Mapped[str]
    plain: Mapped[str]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    saved_by: Mapped[UUID]
    create_time: Mapped[datetime]
    search: Mapped[Any] = mapped_column(
        TSVECTOR,
        Computed(
            "setweight(to_tsvector('simple', title), 'A') || setweight(to_tsvector('simple', summary), 'B')"
            " || to_tsvector('simple', plain)",
            persisted=True,
        ),
    )
