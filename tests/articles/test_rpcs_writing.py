"""Drafts, revisions and slugs: what each save keeps, and who may save."""

import asyncio

import pytest

from backroom.articles.v1 import article_service_pb2 as pb
from backroom.articles.v1 import articles_pb2
from tests.articles.calling import (
    CONTENT,
    LATEST,
    article,
    by_slug,
    changed,
    found,
    fresh,
    made,
    publish,
    published,
    unpublish,
    update,
)
from tests.fixtures.servers import Api, Running, refusal


@pytest.fixture
async def author(server: Running) -> Api:
    return await server.sign_in("staff")


async def test_a_draft_is_seen_by_its_author_and_editors_alone(author: Api, service: Api, customer: Api) -> None:
    draft = await made(author, title="Café & Köln", tags=["News", " news ", "Go  on"], summary="In short")
    assert (draft.state, draft.revision, draft.slug) == (articles_pb2.ARTICLE_STATE_DRAFT, 1, "cafe-koln")
    assert (draft.html, [*draft.tags]) == ("<p>Some <em>text</em> to be read.</p>\n", ["news", "go on"])
    assert await found(author, draft.article_id, LATEST) == await found(service, draft.article_id, LATEST) == draft
    for view in (LATEST, articles_pb2.ARTICLE_VIEW_PUBLISHED):
        assert (await refusal(found(customer, draft.article_id, view))).reason == "ARTICLE_NOT_FOUND"
    assert (await refusal(found(author, draft.article_id))).reason == "ARTICLE_NOT_FOUND"


async def test_each_save_is_a_revision_and_what_readers_see_stays(author: Api, customer: Api) -> None:
    """A save that changes nothing is none."""
    first = await published(author, title="First")
    second = await changed(author, first.article_id, title="Second", content="Another text, longer.")
    assert (second.revision, second.published_revision, second.title) == (2, 1, "Second")
    seen = await found(customer, first.article_id)
    assert (seen.title, seen.content, seen.revision, seen.latest_revision) == ("First", CONTENT, 1, 0)
    same = await changed(author, first.article_id, title="Second", content="Another text, longer.")
    assert same == second
    await publish(author, first.article_id)
    assert (await found(customer, first.article_id)).title == "Second"


async def test_the_second_of_two_editors_learns_the_current_etag(author: Api, service: Api) -> None:
    """Nothing of the first one's is lost; with the etag that it is told, the second one's is saved after it."""
    draft = await made(author)
    mine = await changed(author, draft.article_id, content="What the author wrote.", etag=draft.etag)
    theirs = update(draft.article_id, content="What the editor wrote.", etag=draft.etag)
    refused = await refusal(service.articles.UpdateArticle(theirs))
    assert (refused.code.name, refused.reason, refused.metadata["etag"]) == ("ABORTED", "ETAG_MISMATCH", mine.etag)
    assert (await found(author, draft.article_id, LATEST)).content == "What the author wrote."
    await changed(service, draft.article_id, content="What the editor wrote.", etag=refused.metadata["etag"])
    request = pb.GetRevisionRequest(article_id=draft.article_id, revision=2)
    assert (await author.articles.GetRevision(request)).revision.content == "What the author wrote."


async def test_two_edits_at_once_are_one_saved_and_one_refused(author: Api) -> None:
    draft = await made(author)
    edits = [update(draft.article_id, content=f"The text number {each}.", etag=draft.etag) for each in range(4)]
    answers = await asyncio.gather(*map(author.articles.UpdateArticle, edits), return_exceptions=True)
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    assert (await found(author, draft.article_id, LATEST)).revision == 2


async def test_only_the_author_and_editors_change_an_article(author: Api, service: Api, server: Running) -> None:
    """Who can read it is told so; of a draft, nobody else is told anything."""
    other = await server.sign_in("staff")
    draft, seen = await made(author), await published(author, title="Seen")
    await changed(service, draft.article_id, title="Edited")
    assert (await refusal(changed(other, draft.article_id, title="Mine"))).reason == "ARTICLE_NOT_FOUND"
    for call in (changed(other, seen.article_id, title="Mine"), unpublish(other, seen.article_id)):
        refused = await refusal(call)
        assert (refused.reason, refused.metadata) == ("NOT_THE_AUTHOR", {"permission": "articles.edit"})


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"title": ""}, "article.title"),
        ({"title": "   "}, "article.title"),
        ({"title": "x" * 201}, "article.title"),
        ({"title": "two\nlines"}, "article.title"),
        ({"content": "Too short"}, "article.content"),
        ({"content": " " * 20}, "article.content"),
        ({"content": "x" * 262145}, "article.content"),
        ({"language": ""}, "article.language"),
        ({"language": "English"}, "article.language"),
        ({"slug": "Not a slug"}, "article.slug"),
        ({"tags": ["ok", " "]}, "article.tags[1]"),
        ({"tags": ["x"] * 21}, "article.tags"),
    ],
)
async def test_an_article_that_cannot_be_is_refused_by_the_field(
    author: Api, wrong: dict[str, object], path: str
) -> None:
    request = pb.CreateArticleRequest(article=article(**wrong))
    refused = await refusal(author.articles.CreateArticle(request))
    assert (refused.reason, [*refused.fields]) == ("FIELD_INVALID", [path])


async def test_the_bounds_of_a_title_and_a_content_are_allowed(author: Api) -> None:
    draft = await made(author, title="x" * 200, content="x" * 10)
    assert (len(draft.title), len(draft.content)) == (200, 10)
    for cleared in ("title", "content"):
        refused = await refusal(changed(author, draft.article_id, **{cleared: ""}))
        assert [*refused.fields] == [f"article.{cleared}"]


async def test_content_that_costs_too_much_is_refused_and_others_are_rendered_meanwhile(author: Api) -> None:
    """Such as one whose HTML would be many times as large."""
    huge = "[a]: http://example.com/" + "y" * 50_000 + "\n\n" + "[a] " * 30
    refused, draft = await asyncio.gather(refusal(made(author, content=huge)), made(author))
    assert (refused.reason, [*refused.fields]) == ("FIELD_INVALID", ["article.content"])
    assert draft.html


async def test_a_slug_is_unique_in_its_language_and_remembered(author: Api, customer: Api) -> None:
    """The one that an article had leads to it, and no other article gets it; it can have it back."""
    one = await published(author, title="One", slug="one")
    two = await made(author, title="One")
    assert two.slug.startswith("one-")
    taken = await refusal(made(author, slug="one"))
    assert (taken.code.name, taken.reason, taken.metadata) == ("ALREADY_EXISTS", "SLUG_TAKEN", {"slug": "one"})
    assert (await made(author, language="de", slug="one")).slug == "one"
    renamed = await changed(author, one.article_id, slug="uno")
    assert (renamed.revision, renamed.slug) == (1, "uno")
    assert (await by_slug(customer, "one")) == (await by_slug(customer, "uno"))
    assert (await by_slug(customer, "one")).slug == "uno"
    assert (await refusal(changed(author, two.article_id, slug="one"))).reason == "SLUG_TAKEN"
    assert (await changed(author, one.article_id, slug="one")).slug == "one"


async def test_of_many_articles_with_one_slug_at_once_one_gets_it(author: Api) -> None:
    answers = await asyncio.gather(
        *(made(author, slug="wanted") for _ in range(5)), *(made(author, title="Same") for _ in range(5)),
        return_exceptions=True,
    )  # fmt: skip
    assert sum(not isinstance(answer, BaseException) for answer in answers[:5]) == 1
    assert not [answer for answer in answers[5:] if isinstance(answer, BaseException)]
    same = [answer.slug for answer in answers[5:] if not isinstance(answer, BaseException)]
    assert len({*same}) == 5
    assert "same" in same


async def test_an_article_has_one_version_in_each_language(author: Api, customer: Api, service: Api) -> None:
    """Each with a slug and revisions of its own; readers are told of the published ones."""
    english = await published(author, title="Hello")
    german = await made(author, language="de", title="Hallo", original_id=english.article_id)
    french = await made(author, language="fr", title="Salut", original_id=german.article_id)
    assert german.original_id == french.original_id == english.original_id == english.article_id
    again = await refusal(made(author, language="de", original_id=english.article_id))
    assert (again.reason, again.metadata) == ("TRANSLATION_EXISTS", {"language": "de"})
    assert [*(await found(customer, english.article_id)).translations] == []
    await publish(author, german.article_id)
    (told,) = (await found(customer, english.article_id)).translations
    assert (told.article_id, told.language, told.slug, told.title) == (german.article_id, "de", "hallo", "Hallo")
    assert [each.language for each in (await found(service, english.article_id, LATEST)).translations] == ["de", "fr"]


async def test_a_version_of_anothers_draft_is_refused_as_of_none(author: Api, server: Running) -> None:
    """Of a published article, it is said that only its author makes versions of it."""
    other = await server.sign_in("staff")
    draft, seen = await made(author), await published(author, title="Seen")
    for original_id in (draft.article_id, fresh()):
        refused = await refusal(made(other, language="de", original_id=original_id))
        assert (refused.code.name, refused.reason, refused.metadata) == ("NOT_FOUND", "ARTICLE_NOT_FOUND", {})
    refused = await refusal(made(other, language="de", original_id=seen.article_id))
    assert refused.reason == "NOT_THE_AUTHOR"


async def test_a_revision_is_restored_as_a_new_one(author: Api) -> None:
    draft = await made(author, title="First", tags=["one"])
    await changed(author, draft.article_id, title="Second", content="Quite another text.", tags=["two"])
    request = pb.RestoreRevisionRequest(request_id=fresh(), article_id=draft.article_id, revision=1)
    restored = (await author.articles.RestoreRevision(request)).article
    assert (restored.revision, restored.title, restored.content, restored.tags) == (3, "First", CONTENT, ["one"])
    page = await author.articles.ListRevisions(pb.ListRevisionsRequest(article_id=draft.article_id, page_size=2))
    assert [(each.revision, each.title, each.restored_revision) for each in page.revisions] == [
        (3, "First", 1),
        (2, "Second", 0),
    ]
    rest = pb.ListRevisionsRequest(article_id=draft.article_id, page_size=2, page_token=page.next_page_token)
    assert [each.revision for each in (await author.articles.ListRevisions(rest)).revisions] == [1]
    missing = pb.RestoreRevisionRequest(article_id=draft.article_id, revision=9)
    assert (await refusal(author.articles.RestoreRevision(missing))).reason == "REVISION_NOT_FOUND"


async def test_two_revisions_are_compared_line_by_line(author: Api) -> None:
    draft = await made(author, title="Old", content="one\ntwo\nthree\nfour\nfive\nsix")
    await changed(author, draft.article_id, title="New", content="one\ntwo\nthree\nfour\nFIVE\nsix")
    request = pb.DiffRevisionsRequest(article_id=draft.article_id, before=1, after=2)
    answer = await author.articles.DiffRevisions(request)
    assert [(each.field, each.before, each.after) for each in answer.fields] == [("title", "Old", "New")]
    (hunk,) = answer.hunks
    kinds = articles_pb2.DiffLine
    assert (hunk.before_line, hunk.after_line) == (2, 2)
    assert [(line.kind, line.text) for line in hunk.lines] == [
        *((kinds.KIND_EQUAL, text) for text in ("two", "three", "four")),
        (kinds.KIND_REMOVED, "five"),
        (kinds.KIND_ADDED, "FIVE"),
        (kinds.KIND_EQUAL, "six"),
    ]


async def test_a_deleted_article_leaves_its_slug_to_others(author: Api) -> None:
    """A published one is not deleted."""
    gone = await published(author, slug="gone")
    request = pb.DeleteArticleRequest(request_id=fresh(), article_id=gone.article_id)
    refused = await refusal(author.articles.DeleteArticle(request))
    assert (refused.reason, refused.metadata["state"]) == ("ARTICLE_STATE_CONFLICT", "PUBLISHED")
    await unpublish(author, gone.article_id)
    await author.articles.DeleteArticle(request)
    await author.articles.DeleteArticle(request)
    assert (await refusal(found(author, gone.article_id, LATEST))).reason == "ARTICLE_NOT_FOUND"
    assert (await made(author, slug="gone")).slug == "gone"
