from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    REAL,
    ColumnElement,
    Result,
    Select,
    Text,
    bindparam,
    cast,
    delete,
    func,
    literal,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import REGCONFIG
from sqlalchemy.dialects.postgresql import insert as upsert

from storage.articles.records import MATCH_BEGIN, MATCH_END, Listing, Match, SearchDocument, SearchQuery
from storage.articles.repository.rows import listed, listed_articles
from storage.articles.tables import articles, search_documents
from storage.base import Reader, Repository

MAX_RANKED = 1_000
"""How many matches are ranked, those that were published last: so a search for a word that is everywhere costs no more
than one for a rare word."""
_SIMPLE = "simple"
_CONFIGURATIONS: Mapping[str, str] = {
    "ar": "arabic",
    "ca": "catalan",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nb": "norwegian",
    "ne": "nepali",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
"""PostgreSQL's own text search configurations, by languages; it has them from version 16 on."""
_SNIPPET_CHARACTERS = 20_000
"""Of the beginning of a text: where a snippet is looked for."""
_SELECTED = f'StartSel="{MATCH_BEGIN}", StopSel="{MATCH_END}"'
_WHOLE = f"{_SELECTED}, HighlightAll=true"
_PART = f"{_SELECTED}, MaxWords=35, MinWords=15"


def _configuration(language: str | None) -> ColumnElement[Any]:
    name = _CONFIGURATIONS.get((language or "").split("-")[0], _SIMPLE)
    return literal_column(f"'{name}'::regconfig", REGCONFIG)


def _vector(configuration: ColumnElement[Any]) -> ColumnElement[Any]:
    """The words of a document with their weights."""
    title, summary = (
        func.setweight(func.to_tsvector(configuration, bindparam(name, type_=Text)), literal_column(f"'{weight}'"))
        for name, weight in (("folded_title", "A"), ("folded_summary", "B"))
    )
    text = func.to_tsvector(configuration, bindparam("folded", type_=Text))
    return title.op("||")(summary).op("||")(text)


class SearchReader(Reader):
    """Published articles, as they are searched."""

    async def find(self, query: SearchQuery, *, after: tuple[float, UUID] | None, limit: int) -> Sequence[Match]:
        """Matches, best first, behind a key of (rank, id)."""
        rows: Result[Any] = await self._connection.execute(search_statement(query, after, limit), {"query": query.text})
        return [
            Match(listed(row), row.rank, row.folded_title, row.folded_snippet, row.snippet, query.as_of) for row in rows
        ]


def search_statement(query: SearchQuery, after: tuple[float, UUID] | None, limit: int) -> Select[Any]:
    """The statement of a search; its parameter is the query's text."""
    page = _page(query, after, limit)
    configuration = _configuration(query.language)
    asked = _asked(configuration)
    title = func.ts_headline(configuration, search_documents.c.folded_title, asked, _WHOLE)
    beginning = func.left(search_documents.c.folded, _SNIPPET_CHARACTERS)
    part = func.ts_headline(configuration, beginning, asked, _PART)
    source = page.join(articles, articles.c.id == page.c.article_id).join(
        search_documents, search_documents.c.article_id == page.c.article_id
    )
    found = (
        listed_articles(
            Listing.PUBLISHED,
            page.c.rank,
            title.label("folded_title"),
            part.label("folded_snippet"),
            search_documents.c.plain,
            search_documents.c.folded,
            of=source,
        )
        .offset(0)  # so that each headline is computed once, and not wherever it is used
        .subquery()
    )
    place = func.translate(found.c.folded_snippet, MATCH_BEGIN + MATCH_END, "")
    begin = func.strpos(found.c.folded, place)
    columns = [each for each in found.c if each.name not in ("plain", "folded")]
    statement = select(*columns, func.substr(found.c.plain, begin, func.char_length(place)).label("snippet"))
    return statement.order_by(found.c.rank.desc(), found.c.id.desc())


def _asked(configuration: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.websearch_to_tsquery(configuration, bindparam("query", type_=Text))


def _page(query: SearchQuery, after: tuple[float, UUID] | None, limit: int) -> Any:
    configuration = _configuration(query.language)
    asked = _asked(configuration)
    vector = search_documents.c.stems if query.language else search_documents.c.words
    key = (search_documents.c.publish_time, search_documents.c.article_id)
    statement: Select[Any] = select(search_documents.c.article_id, vector.label("vector")).where(
        vector.op("@@")(asked), search_documents.c.publish_time <= query.as_of
    )
    if query.language:
        statement = statement.where(search_documents.c.language == query.language)
    matches = statement.order_by(*(each.desc() for each in key)).limit(MAX_RANKED).subquery()
    rank = cast(func.ts_rank(matches.c.vector, asked), REAL)
    ranked = select(matches.c.article_id, rank.label("rank")).offset(0).subquery()
    page = select(ranked.c.article_id, ranked.c.rank)
    if after is not None:
        page = page.where(tuple_(ranked.c.rank, ranked.c.article_id) < tuple_(cast(literal(after[0]), REAL), after[1]))
    return page.order_by(ranked.c.rank.desc(), ranked.c.article_id.desc()).limit(limit).cte("page")


class SearchRepository(SearchReader, Repository):
    """What is searched; it is of the articles that readers see, which are locked before."""

    async def keep(self, document: SearchDocument) -> None:
        """Has an article found by what its published revision says, and no longer by what an earlier one said."""
        statement = upsert(search_documents).values(
            article_id=document.article_id,
            language=document.language,
            publish_time=document.publish_time,
            folded_title=bindparam("folded_title", type_=Text),
            plain=document.plain,
            folded=bindparam("folded", type_=Text),
            words=_vector(_configuration(None)),
            stems=_vector(_configuration(document.language)),
        )
        values = {column.name: statement.excluded[column.name] for column in search_documents.c}
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=["article_id"], set_=values),
            {
                "folded_title": document.folded_title,
                "folded_summary": document.folded_summary,
                "folded": document.folded,
            },
        )

    async def forget(self, article_id: UUID) -> None:
        """Has an article found no longer."""
        await self._connection.execute(delete(search_documents).where(search_documents.c.article_id == article_id))
