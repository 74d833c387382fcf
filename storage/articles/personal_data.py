"""What articles has of a person: the articles that it wrote, which go or are handed over, and comments of reviews.

A revision that an editor saved belongs to the article, whoever that was.
"""

from collections.abc import Callable

from sqlalchemy import ColumnElement, Table, select

from storage.articles.tables import articles, reviews, revisions, search_documents, slugs, taggings
from storage.personal_data import JsonOwner, OwnedRows, Person, PersonalDataRules


def _of_articles(table: Table) -> Callable[[Person], ColumnElement[bool]]:
    """Those that belong to an article of the person's."""
    return lambda person: table.c.article_id.in_(select(articles.c.id).where(articles.c.author_id == person.id))


PERSONAL_DATA = PersonalDataRules(
    rows=(
        *(
            OwnedRows(kind=table.name, table=table, owned=_of_articles(table), deleted=True, transfer="")
            for table in (search_documents, taggings, slugs)
        ),
        OwnedRows(
            kind="review",
            table=reviews,
            owned=_of_articles(reviews),
            exported=("article_id", "revision", "state", "comment", "request_time", "decide_time"),
            deleted=True,
            transfer="",
        ),
        OwnedRows(
            kind="decision",
            table=reviews,
            owned=lambda person: reviews.c.decided_by == person.id,
            exported=("article_id", "revision", "state", "comment", "decide_time"),
            erased={"comment": ""},
        ),
        OwnedRows(
            kind="revision",
            table=revisions,
            owned=_of_articles(revisions),
            exported=("article_id", "number", "title", "summary", "content", "tags", "create_time"),
            deleted=True,
            transfer="",
        ),
        OwnedRows(
            kind="article",
            table=articles,
            owned=lambda person: articles.c.author_id == person.id,
            exported=("id", "original_id", "language", "slug", "state", "revision", "publish_time", "create_time"),
            deleted=True,
            transfer="author_id",
        ),
    ),
    owners=(
        JsonOwner("author_id", frozenset({"title", "summary", "content", "html", "slug"})),
        JsonOwner("decided_by", frozenset({"comment"})),
    ),
)
