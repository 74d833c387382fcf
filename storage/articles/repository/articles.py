import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from storage.articles.records import (
    Article,
    ArticleFilter,
    ListedArticle,
    Listing,
    PublishedPage,
    Translation,
    WholeArticle,
)
from storage.articles.repository.rows import ARTICLES, BODIES, BODY, PUBLISHED, listed, listed_articles
from storage.articles.tables import articles, reviews, revisions, slugs, taggings
from storage.base import Reader, Records, Repository, column_names, json_parameter, json_rows, row_maker

_PLAIN = tuple(name for name in column_names(articles) if not name.startswith("schedule_"))
_ROW = row_maker(_PLAIN)
_PAGES = Records(PublishedPage, article_id="id")

_other, _its_revision = articles.alias("other"), revisions.alias("its_revision")
_SLUG = (slugs.c.language == bindparam("language")) & (slugs.c.slug == bindparam("slug"))


def _translations(listing: Listing) -> ColumnElement[Any]:
    """The other versions that readers see; with the latest revisions, also those whose author asks, or all."""
    visible: ColumnElement[bool] = _other.c.state == "published"
    number: ColumnElement[Any] = _other.c.published_revision
    if listing is Listing.LATEST:
        number = _other.c.revision
        visible = or_(visible, bindparam("sees_all"), _other.c.author_id == bindparam("viewer"))
    mine = (_its_revision.c.article_id == _other.c.id) & (_its_revision.c.number == number)
    said = func.json_build_array(_other.c.id, _other.c.language, _other.c.slug, _its_revision.c.title)
    return (
        select(func.json_agg(said))
        .select_from(_other.join(_its_revision, mine))
        .where(_other.c.original_id == articles.c.original_id, _other.c.id != articles.c.id, visible)
        .scalar_subquery()
        .label("translations")
    )


def _whole(listing: Listing) -> Select[Any]:
    return listed_articles(listing, *BODY, _translations(listing))


_WHOLE_BY_ID = {each: _whole(each).where(articles.c.id == bindparam("article_id")) for each in Listing}
_WHOLE_BY_SLUG = {
    each: listed_articles(
        each, *BODY, _translations(each), of=slugs.join(articles, slugs.c.article_id == articles.c.id)
    ).where(_SLUG)
    for each in Listing
}
_PUBLISHED_MANY = _whole(Listing.PUBLISHED).where(articles.c.id.in_(select(json_rows(articles, "id").c.id)))
_LATEST = listed_articles(Listing.LATEST).where(articles.c.id == bindparam("article_id"))
_LOCK = (
    select(articles)
    .where(articles.c.id.in_(select(json_rows(articles, "id").c.id)))
    .order_by(articles.c.id)
    .with_for_update(key_share=True)
)
_LOCK_SCHEDULE = (
    select(articles)
    .where(articles.c.schedule_time.is_not(None), articles.c.schedule_id == bindparam("schedule"))
    .order_by(articles.c.id)
    .with_for_update(key_share=True)
)
_DUE = (
    select(articles.c.schedule_id)
    .where(articles.c.schedule_time.is_not(None), articles.c.schedule_time <= bindparam("now"))
    .order_by(articles.c.schedule_time)
    .limit(bindparam("most"))
)
_PAGE = (
    select(
        articles.c.id,
        articles.c.language,
        articles.c.slug,
        articles.c.publish_time,
        func.greatest(articles.c.publish_time, revisions.c.create_time).label("update_time"),
    )
    .select_from(
        articles.join(
            revisions,
            (revisions.c.article_id == articles.c.id) & (revisions.c.number == articles.c.published_revision),
        )
    )
    .where(PUBLISHED)
    .order_by(articles.c.publish_time, articles.c.id)
    .limit(bindparam("most"))
)


class ArticleReader(Reader):
    """Articles, as they are stored."""

    async def find_whole(
        self, listing: Listing, article_id: UUID, *, viewer: UUID, sees_all: bool
    ) -> WholeArticle | None:
        """An article with its latest revision, or with the published one; None where it has none.

        Of the versions in other languages, those that `viewer` may see.
        """
        values = {"article_id": article_id, "viewer": viewer, "sees_all": sees_all}
        return _whole_of((await self._connection.execute(_WHOLE_BY_ID[listing], values)).first())

    async def find_published(self, article_ids: Collection[UUID]) -> Mapping[UUID, WholeArticle]:
        """Those of these articles that readers see, as they see them."""
        values = json_parameter(("id",), ((each,) for each in article_ids))
        found = _wholes((await self._connection.execute(_PUBLISHED_MANY, values)).all())
        return {each.listed.id: each for each in found}

    async def find_whole_by_slug(
        self, listing: Listing, language: str, slug: str, *, viewer: UUID, sees_all: bool
    ) -> WholeArticle | None:
        """The same by a slug that it has, or had."""
        values = {"language": language, "slug": slug, "viewer": viewer, "sees_all": sees_all}
        return _whole_of((await self._connection.execute(_WHOLE_BY_SLUG[listing], values)).first())

    async def find_latest(self, article_id: UUID) -> ListedArticle | None:
        """An article with its latest revision."""
        rows = (await self._connection.execute(_LATEST, {"article_id": article_id})).all()
        return next(iter(listed(rows)), None)

    async def find_languages(self, original_id: UUID) -> Mapping[str, UUID]:
        """The versions of an article, by their languages."""
        statement = select(articles.c.language, articles.c.id).where(articles.c.original_id == original_id)
        return {row.language: row.id for row in await self._connection.execute(statement)}

    async def find_slug(self, language: str, slug: str) -> UUID | None:
        """Which article has a slug, or had it."""
        found = await self._connection.execute(
            select(slugs.c.article_id).where(_SLUG), {"language": language, "slug": slug}
        )
        return found.scalar_one_or_none()

    async def find_due(self, now: datetime, limit: int) -> Sequence[UUID]:
        """Schedules whose time has come, those first that were due first."""
        found = await self._connection.execute(_DUE, {"now": now, "most": limit})
        return list(dict.fromkeys(found.scalars()))

    async def list_latest(
        self, wanted: ArticleFilter, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[ListedArticle]:
        """Articles by when they were published, or created, the latest first, below a key of that time and the id."""
        return listed((await self._connection.execute(_list_statement(wanted, before, limit))).all())

    async def list_whole(self, wanted: ArticleFilter, limit: int) -> Sequence[WholeArticle]:
        """The first of the same with what they say, and without translations."""
        statement = _list_statement(wanted, None, limit).add_columns(*BODY)
        rows = (await self._connection.execute(statement)).all()
        return [WholeArticle(each, body, ()) for each, body in zip(listed(rows), BODIES.all(rows), strict=True)]

    async def list_pages(self, after: tuple[datetime, UUID] | None, limit: int) -> Sequence[PublishedPage]:
        """Published articles, the earliest first, from a key of (publish_time, id) on."""
        statement = _PAGE
        if after is not None:
            statement = statement.where(tuple_(articles.c.publish_time, articles.c.id) >= after)
        return _PAGES.all(await self._connection.execute(statement, {"most": limit}))

    async def find_page_starts(self, size: int) -> Sequence[tuple[datetime, UUID]]:
        """The first key of each so many published articles."""
        key = (articles.c.publish_time, articles.c.id)
        counted = select(*key, func.row_number().over(order_by=key).label("place")).where(PUBLISHED).subquery()
        statement = select(counted.c.publish_time, counted.c.id).where((counted.c.place - 1) % size == 0)
        found = await self._connection.execute(statement.order_by(counted.c.publish_time, counted.c.id))
        return [(row.publish_time, row.id) for row in found]


class ArticleRepository(ArticleReader, Repository):
    """Articles, with their slugs and tags; whoever changes any locks the article first."""

    async def add(self, article: Article) -> None:
        """Adds an article with its slug; raises AlreadyExists where another has the slug, or the language."""
        await self._connection.execute(insert(articles).values(**_row(article)))
        await self.keep_slug(article)

    async def change(self, article: Article) -> None:
        """Stores the new values of an article that was locked in this transaction."""
        await self._connection.execute(update(articles).where(articles.c.id == article.id).values(**_row(article)))

    async def keep_slug(self, article: Article) -> None:
        """Keeps the slug that the article has now, with those that it had.

        Raises AlreadyExists where another article took it at the same time.
        """
        mine = {"language": article.language, "slug": article.slug, "article_id": article.id}
        statement = upsert(slugs).values(**mine)
        kept = statement.on_conflict_do_update(
            index_elements=["language", "slug"],
            set_={"article_id": statement.excluded.article_id},
            where=slugs.c.article_id == article.id,
        ).returning(slugs.c.slug)
        if (await self._connection.execute(kept)).first() is None:
            await self._connection.execute(insert(slugs).values(**mine))  # which raises

    async def tag(self, article: Article, listing: Listing, tags: Collection[str]) -> None:
        """Files an article under these tags, and no others, in the lists of its latest or published revisions."""
        await self._connection.execute(
            delete(taggings).where(taggings.c.article_id == article.id, taggings.c.listing == listing)
        )
        time = article.create_time if listing is Listing.LATEST else article.publish_time
        rows = [{"listing": listing, "tag": each, "article_id": article.id, "time": time} for each in tags]
        if rows:
            await self._connection.execute(insert(taggings), rows)

    async def lock_many(self, article_ids: Collection[UUID]) -> Mapping[UUID, Article]:
        """The articles that exist of these, locked in key order until the transaction ends."""
        values = json_parameter(("id",), ((each,) for each in article_ids))
        return {each.id: each for each in ARTICLES.all(await self._connection.execute(_LOCK, values))}

    async def lock_schedule(self, schedule_id: UUID) -> Sequence[Article]:
        """The articles that still have this schedule, locked in key order until the transaction ends."""
        return ARTICLES.all(await self._connection.execute(_LOCK_SCHEDULE, {"schedule": schedule_id}))

    async def delete(self, article_id: UUID) -> None:
        """Deletes an article that was locked in this transaction, with all that belongs to it."""
        for column in (reviews.c.article_id, revisions.c.article_id, slugs.c.article_id, taggings.c.article_id):
            await self._connection.execute(delete(column.table).where(column == article_id))
        await self._connection.execute(delete(articles).where(articles.c.id == article_id))


def _row(article: Article) -> Mapping[str, Any]:
    schedule = article.schedule
    return {
        **_ROW(article),
        "schedule_id": schedule.id if schedule else None,
        "schedule_revision": schedule.revision if schedule else None,
        "schedule_time": schedule.publish_time if schedule else None,
    }


def _whole_of(row: Row[Any] | None) -> WholeArticle | None:
    return _wholes([row])[0] if row is not None else None


def _wholes(rows: Sequence[Row[Any]]) -> list[WholeArticle]:
    return [
        WholeArticle(article, body, _translations_of(row) if row.translations else ())
        for article, body, row in zip(listed(rows), BODIES.all(rows), rows, strict=True)
    ]


def _translations_of(row: Row[Any]) -> tuple[Translation, ...]:
    found = row.translations if isinstance(row.translations, list) else json.loads(row.translations)
    translations = (Translation(UUID(each[0]), *each[1:]) for each in found)
    return tuple(sorted(translations, key=lambda each: each.language))


def _list_statement(wanted: ArticleFilter, before: tuple[datetime, UUID] | None, limit: int) -> Select[Any]:
    time = articles.c.create_time if wanted.listing is Listing.LATEST else articles.c.publish_time
    key: tuple[ColumnElement[Any], ColumnElement[Any]] = (time, articles.c.id)
    statement = listed_articles(wanted.listing)
    if wanted.tag is not None:
        statement = listed_articles(wanted.listing, of=taggings.join(articles, taggings.c.article_id == articles.c.id))
        statement = statement.where(taggings.c.listing == wanted.listing.value, taggings.c.tag == wanted.tag)
        key = (taggings.c.time, taggings.c.article_id)
    statement = statement.where(*_conditions(wanted))
    if before is not None:
        statement = statement.where(tuple_(*key) < before)
    return statement.order_by(*(each.desc() for each in key)).limit(limit)


def _conditions(wanted: ArticleFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.language is not None:
        yield articles.c.language == wanted.language
    if wanted.author_id is not None:
        yield articles.c.author_id == wanted.author_id
    if wanted.state is not None:
        yield articles.c.state == wanted.state
    if wanted.scheduled:
        yield articles.c.schedule_time.is_not(None)
    if wanted.review_state is not None:
        yield reviews.c.state == wanted.review_state
