from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    REAL,
    ColumnElement,
    Integer,
    Select,
    Text,
    Uuid,
    bindparam,
    cast,
    delete,
    func,
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


def _configuration_of(language: str | None) -> str:
    return _CONFIGURATIONS.get((language or "").split("-")[0], _SIMPLE)


def _configuration(name: str) -> ColumnElement[Any]:
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
        statement = search_statement(_configuration_of(query.language), query.language is not None, after is not None)
        values: dict[str, Any] = {"query": query.text, "as_of": query.as_of, "most": limit}
        if query.language is not None:
            values["language"] = query.language
        if after is not None:
            values["rank"], values["after_id"] = after
        rows = (await self._connection.execute(statement, values)).all()
        return [
            Match(article, row.rank, row.folded_title, row.folded_snippet, row.snippet, query.as_of)
            for article, row in zip(listed(rows), rows, strict=True)
        ]


@cache  # a few of each configuration: to build one takes a millisecond
def search_statement(name: str, of_language: bool, continued: bool) -> Select[Any]:
    """The statement of a search by a configuration, in the articles of one language or of all; for a later page, too.

    Its parameters are `query`, `as_of`, `most`, and where they count `language`, `rank` and `after_id`.
    """
    configuration = _configuration(name)
    found = _highlighted(_page(configuration, of_language=of_language, continued=continued), configuration)
    place = func.translate(found.c.folded_snippet, MATCH_BEGIN + MATCH_END, "")
    begin = func.strpos(found.c.folded, place)
    columns = [each for each in found.c if each.name not in ("plain", "folded")]
    statement = select(*columns, func.substr(found.c.plain, begin, func.char_length(place)).label("snippet"))
    return statement.order_by(found.c.rank.desc(), found.c.id.desc())


def _highlighted(page: Any, configuration: ColumnElement[Any]) -> Any:
    """The articles of a page, with what is shown of each."""
    asked = _asked_once(configuration)
    title = func.ts_headline(configuration, search_documents.c.folded_title, asked, _WHOLE)
    beginning = func.left(search_documents.c.folded, _SNIPPET_CHARACTERS)
    part = func.ts_headline(configuration, beginning, asked, _PART)
    source = page.join(articles, articles.c.id == page.c.article_id).join(
        search_documents, search_documents.c.article_id == page.c.article_id
    )
    statement = (
        listed_articles(
            Listing.PUBLISHED,
            page.c.rank,
            title.label("folded_title"),
            part.label("folded_snippet"),
            search_documents.c.plain,
            search_documents.c.folded,
            of=source,
        ).offset(literal_column("0"))  # so that each headline is computed once, and not wherever it is used
    )
    return statement.subquery()


def _asked(configuration: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.websearch_to_tsquery(configuration, bindparam("query", type_=Text))


def _asked_once(configuration: ColumnElement[Any]) -> ColumnElement[Any]:
    """The same, for what is computed row by row: a plan for any query would read the text anew for each of them.

    Not for the condition: of what a subquery gives, the planner does not know how many articles have it.
    """
    return select(_asked(configuration)).scalar_subquery()


def _page(configuration: ColumnElement[Any], *, of_language: bool, continued: bool) -> Any:
    asked = _asked(configuration)
    vector = search_documents.c.stems if of_language else search_documents.c.words
    key = (search_documents.c.publish_time, search_documents.c.article_id)
    statement: Select[Any] = select(search_documents.c.article_id, vector.label("vector")).where(
        vector.op("@@")(asked), search_documents.c.publish_time <= bindparam("as_of")
    )
    if of_language:
        statement = statement.where(search_documents.c.language == bindparam("language"))
    matches = statement.order_by(*(each.desc() for each in key)).limit(literal_column(str(MAX_RANKED))).subquery()
    rank = cast(func.ts_rank(matches.c.vector, _asked_once(configuration)), REAL)
    ranked = select(matches.c.article_id, rank.label("rank")).offset(literal_column("0")).subquery()
    page = select(ranked.c.article_id, ranked.c.rank)
    if continued:
        # As a real, which is what the rank is: as a double it would be another number.
        after = tuple_(cast(bindparam("rank"), REAL), bindparam("after_id", type_=Uuid))
        page = page.where(tuple_(ranked.c.rank, ranked.c.article_id) < after)
    return (
        page.order_by(ranked.c.rank.desc(), ranked.c.article_id.desc())
        .limit(bindparam("most", type_=Integer))
        .cte("page")
    )


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
            words=_vector(_configuration(_SIMPLE)),
            stems=_vector(_configuration(_configuration_of(document.language))),
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
