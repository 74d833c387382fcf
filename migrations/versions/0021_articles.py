"""Articles with their slugs and schedules, revisions that never change, reviews, tags, and what is searched."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0021"
down_revision = "0020"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("CREATE SCHEMA articles")
    _articles()
    _revisions()
    _reviews()
    _slugs_and_tags()
    _search_documents()


def downgrade() -> None:
    op.execute("DROP SCHEMA articles CASCADE")


def _articles() -> None:
    op.create_table(
        "articles",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("original_id", sa.Uuid, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("author_id", sa.Uuid, nullable=False),
        sa.Column("slug", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("published_revision", sa.Integer),
        sa.Column("publish_time", TIME),
        sa.Column("schedule_id", sa.Uuid),
        sa.Column("schedule_revision", sa.Integer),
        sa.Column("schedule_time", TIME),
        sa.Column("link_version", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_articles"),
        sa.UniqueConstraint("original_id", "language", name="uq_articles_original_id_language"),
        sa.CheckConstraint("state IN ('draft', 'published', 'unpublished')", name="ck_articles_state"),
        sa.CheckConstraint(
            "(state = 'draft') = (published_revision IS NULL) AND (state = 'draft') = (publish_time IS NULL)",
            name="ck_articles_published",
        ),
        sa.CheckConstraint(
            "num_nulls(schedule_id, schedule_revision, schedule_time) IN (0, 3)", name="ck_articles_schedule"
        ),
        sa.CheckConstraint(
            "1 <= ALL (ARRAY[revision, coalesce(published_revision, 1), coalesce(schedule_revision, 1)])"
            " AND revision >= ALL (ARRAY[coalesce(published_revision, 1), coalesce(schedule_revision, 1)])",
            name="ck_articles_revisions",
        ),
        schema="articles",
    )
    published, scheduled = sa.text("state = 'published'"), sa.text("schedule_time IS NOT NULL")
    _index("ix_articles_by_time", "articles", "create_time", "id")
    _index("ix_articles_by_author", "articles", "author_id", "create_time", "id")
    _index("ix_articles_published", "articles", "publish_time", "id", where=published)
    _index("ix_articles_published_in", "articles", "language", "publish_time", "id", where=published)
    _index("ix_articles_published_by", "articles", "author_id", "publish_time", "id", where=published)
    _index("ix_articles_due", "articles", "schedule_time", where=scheduled)
    _index("ix_articles_schedule", "articles", "schedule_id", where=scheduled)


def _revisions() -> None:
    op.create_table(
        "revisions",
        sa.Column("article_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("tags", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("html", sa.Text, nullable=False),
        sa.Column("plain", sa.Text, nullable=False),
        sa.Column("saved_by", sa.Uuid, nullable=False),
        sa.Column("restored_revision", sa.Integer),
        sa.Column("create_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("article_id", "number", name="pk_revisions"),
        sa.ForeignKeyConstraint(["article_id"], ["articles.articles.id"], name="fk_revisions_article_id"),
        sa.CheckConstraint("number > 0", name="ck_revisions_number"),
        sa.CheckConstraint(
            "char_length(title) BETWEEN 1 AND 200 AND char_length(content) >= 10", name="ck_revisions_sizes"
        ),
        schema="articles",
    )
    op.execute(
        "CREATE FUNCTION articles.refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'a revision never changes'; END $$"
    )
    op.execute(
        "CREATE TRIGGER no_change BEFORE UPDATE ON articles.revisions"
        " FOR EACH STATEMENT EXECUTE FUNCTION articles.refuse_change()"
    )


def _reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("article_id", sa.Uuid, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Uuid, nullable=False),
        sa.Column("request_time", TIME, nullable=False),
        sa.Column("decided_by", sa.Uuid),
        sa.Column("decide_time", TIME),
        sa.Column("comment", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("article_id", "revision", name="pk_reviews"),
        sa.ForeignKeyConstraint(
            ["article_id", "revision"],
            ["articles.revisions.article_id", "articles.revisions.number"],
            name="fk_reviews_article_id_revision",
        ),
        sa.CheckConstraint("state IN ('pending', 'approved', 'rejected')", name="ck_reviews_state"),
        sa.CheckConstraint(
            "(state = 'pending') = (decided_by IS NULL) AND (state = 'pending') = (decide_time IS NULL)",
            name="ck_reviews_decided",
        ),
        schema="articles",
    )
    op.execute("CREATE INDEX ix_reviews_by_decider ON articles.reviews (decided_by)")


def _slugs_and_tags() -> None:
    op.create_table(
        "slugs",
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("slug", sa.Text, nullable=False),
        sa.Column("article_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("language", "slug", name="pk_slugs"),
        sa.ForeignKeyConstraint(["article_id"], ["articles.articles.id"], name="fk_slugs_article_id"),
        schema="articles",
    )
    _index("ix_slugs_by_article", "slugs", "article_id")
    op.create_table(
        "taggings",
        sa.Column("listing", sa.Text, nullable=False),
        sa.Column("tag", sa.Text, nullable=False),
        sa.Column("article_id", sa.Uuid, nullable=False),
        sa.Column("time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("article_id", "listing", "tag", name="pk_taggings"),
        sa.ForeignKeyConstraint(["article_id"], ["articles.articles.id"], name="fk_taggings_article_id"),
        sa.CheckConstraint("listing IN ('latest', 'published')", name="ck_taggings_listing"),
        schema="articles",
    )
    _index("ix_taggings_by_tag", "taggings", "listing", "tag", "time", "article_id")


def _search_documents() -> None:
    op.create_table(
        "search_documents",
        sa.Column("article_id", sa.Uuid, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("publish_time", TIME, nullable=False),
        sa.Column("folded_title", sa.Text, nullable=False),
        sa.Column("plain", sa.Text, nullable=False),
        sa.Column("folded", sa.Text, nullable=False),
        sa.Column("words", TSVECTOR, nullable=False),
        sa.Column("stems", TSVECTOR, nullable=False),
        sa.PrimaryKeyConstraint("article_id", name="pk_search_documents"),
        sa.ForeignKeyConstraint(["article_id"], ["articles.articles.id"], name="fk_search_documents_article_id"),
        sa.CheckConstraint("char_length(plain) = char_length(folded)", name="ck_search_documents_places"),
        schema="articles",
    )
    for name in ("words", "stems"):
        op.create_index(
            f"ix_search_documents_{name}", "search_documents", [name], postgresql_using="gin", schema="articles"
        )
    _index("ix_search_documents_by_time", "search_documents", "publish_time", "article_id")


def _index(name: str, table: str, *columns: str, where: sa.TextClause | None = None) -> None:
    op.create_index(name, table, list(columns), postgresql_where=where, schema="articles")
