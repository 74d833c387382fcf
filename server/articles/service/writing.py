from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from server.articles.errors import RevisionNotFound, SlugTaken, TranslationExists
from server.articles.rendering import Rendering, TooCostly
from server.articles.rules.access import check_may_change
from server.articles.rules.folding import other_slug, slug_of
from server.articles.rules.publishing import check_deletable, check_slug_changeable
from server.articles.rules.writing import SAID, ArticleDraft, created, first_head, next_head, says_otherwise
from server.articles.service.answers import ARTICLE
from server.articles.service.changing import (
    change_once,
    checked,
    delete_and_tell,
    find_head,
    lock,
    store_and_tell,
    tell,
)
from server.frame.caller import Caller
from server.frame.editing import Edit, changed
from server.frame.errors import FieldInvalid
from server.frame.repeating import find_answer
from storage.articles.records import Article, ListedArticle, Listing, Revision, RevisionBody
from storage.articles.store import ArticlesStore, ArticlesTransaction
from storage.frame.records import ChangeContext


class Writing:
    """Articles as they are written: each save is a revision that never changes."""

    def __init__(
        self,
        store: ArticlesStore,
        rendering: Rendering,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        *,
        review_required: bool,
    ) -> None:
        self._store = store
        self._rendering = rendering
        self._now = now
        self._new_id = new_id
        self._review_required = review_required

    async def create(self, caller: Caller, draft: ArticleDraft, context: ChangeContext) -> ListedArticle:
        """Raises FieldInvalid, ArticleNotFound, NotTheAuthor, TranslationExists, SlugTaken."""
        if (answer := await find_answer(self._store, context, ARTICLE)) is not None:
            return answer
        if draft.original_id is not None:
            await self._check_before_rendering(caller, draft.original_id, "")
        body = await self._rendered(draft.content)

        async def act(tx: ArticlesTransaction) -> ListedArticle:
            article_id = self._new_id()
            original_id = await _original_of(tx, caller, draft) or article_id
            article = created(draft, article_id, original_id, caller.account_id, self._now())
            article = replace(article, slug=await _free_slug(tx, article, draft))
            await tx.articles.add(article)
            await tx.revisions.add(Revision(first_head(draft, article), body))
            await tx.articles.tag(article, Listing.LATEST, draft.tags)
            return await tell(tx, "created", article)

        return await change_once(self._store, context, act)

    async def edit(self, caller: Caller, edit: Edit[UUID], context: ChangeContext) -> ListedArticle:
        """Changes the fields that the edit names; what readers see stays.

        Raises FieldInvalid, ArticleNotFound, NotTheAuthor, EtagMismatch, ReviewRequired, SlugTaken.
        """
        body: RevisionBody | None = None
        if "content" in edit.values:
            if (answer := await find_answer(self._store, context, ARTICLE)) is not None:
                return answer
            await self._check_before_rendering(caller, edit.key, edit.etag)
            body = await self._rendered(edit.values["content"])

        async def act(tx: ArticlesTransaction) -> ListedArticle:
            before = await lock(tx, caller, edit.key, edit.etag)
            article = await self._with_slug(tx, caller, before, edit.values.get("slug", before.slug))
            said = {name: value for name, value in edit.values.items() if name in SAID}
            if said:
                article = await self._revised(tx, caller, article, said, body)
            return await store_and_tell(tx, "changed", before, article)

        return await change_once(self._store, context, act)

    async def restore(
        self, caller: Caller, article_id: UUID, number: int, etag: str, context: ChangeContext
    ) -> ListedArticle:
        """Saves an earlier revision anew; raises ArticleNotFound, NotTheAuthor, EtagMismatch, RevisionNotFound."""

        async def act(tx: ArticlesTransaction) -> ListedArticle:
            article = await lock(tx, caller, article_id, etag)
            found = await tx.revisions.find(article_id, number)
            if found is None:
                raise RevisionNotFound(revision=str(number))
            (latest, _), (earlier, _) = await find_head(tx, article, 0), found
            said = {name: getattr(earlier.head, name) for name in ("title", "summary", "tags")}
            head = next_head(latest, said, caller.account_id, self._now(), restored=number)
            restored = await self._saved(tx, article, Revision(head, earlier.body))
            return await store_and_tell(tx, "changed", article, restored)

        return await change_once(self._store, context, act)

    async def delete(self, caller: Caller, article_id: UUID, etag: str, context: ChangeContext) -> None:
        """Raises ArticleNotFound, NotTheAuthor, EtagMismatch, ArticleStateConflict."""

        async def act(tx: ArticlesTransaction) -> ListedArticle:
            article = await lock(tx, caller, article_id, etag)
            check_deletable(article)
            return await delete_and_tell(tx, article, self._now())

        await change_once(self._store, context, act)

    async def _check_before_rendering(self, caller: Caller, article_id: UUID, etag: str) -> None:
        """Refuses what will be refused anyway, so that nobody has content rendered who may not save it."""
        async with self._store.reading() as reading:
            found = await reading.articles.find_latest(article_id)
        checked(found.article if found else None, caller, etag)

    async def _rendered(self, content: str) -> RevisionBody:
        try:
            rendered = await self._rendering.render(content)
        except TooCostly:
            said = "takes too long to render, or is larger than 1 MiB as HTML: write it in several articles"
            raise FieldInvalid.of("article.content", said) from None
        return RevisionBody(content, rendered.html, rendered.plain)

    async def _with_slug(self, tx: ArticlesTransaction, caller: Caller, article: Article, slug: str) -> Article:
        if slug == article.slug:
            return article
        check_slug_changeable(article, caller, review_required=self._review_required)
        if await tx.articles.find_slug(article.language, slug) not in (None, article.id):
            raise SlugTaken(slug=slug)
        renamed = changed(article, {"slug": slug}, self._now())
        await tx.articles.keep_slug(renamed)
        return renamed

    async def _revised(
        self,
        tx: ArticlesTransaction,
        caller: Caller,
        article: Article,
        values: Mapping[str, Any],
        body: RevisionBody | None,
    ) -> Article:
        """The article with a new revision, if that says anything else than the latest one."""
        found = await tx.revisions.find(article.id, article.revision)
        assert found is not None  # noqa: S101 - an article has its latest revision
        latest, _ = found
        if not says_otherwise(latest.head, latest.body.content, values):
            return article
        head = next_head(latest.head, values, caller.account_id, self._now())
        return await self._saved(tx, article, Revision(head, body or latest.body))

    async def _saved(self, tx: ArticlesTransaction, article: Article, revision: Revision) -> Article:
        await tx.revisions.add(revision)
        await tx.articles.tag(article, Listing.LATEST, revision.head.tags)
        return changed(article, {"revision": revision.head.number}, self._now())


async def _original_of(tx: ArticlesTransaction, caller: Caller, draft: ArticleDraft) -> UUID | None:
    if draft.original_id is None:
        return None
    # Locked, so that of two versions in one language the second one is refused by its reason.
    original = (await tx.articles.lock_many([draft.original_id])).get(draft.original_id)
    original_id = check_may_change(original, caller).original_id
    if draft.language in await tx.articles.find_languages(original_id):
        raise TranslationExists(language=draft.language)
    return original_id


async def _free_slug(tx: ArticlesTransaction, article: Article, draft: ArticleDraft) -> str:
    """The draft's slug; where it has none, one made of its title. Raises SlugTaken."""
    slug = draft.slug or slug_of(draft.title, article.id)
    if await tx.articles.find_slug(article.language, slug) is None:
        return slug
    if draft.slug:
        raise SlugTaken(slug=slug)
    return other_slug(slug, article.id)
