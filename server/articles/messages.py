"""articles' messages to plain values, and back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unicodedata import normalize
from uuid import UUID

from backroom.articles.v1 import article_service_pb2 as pb
from backroom.articles.v1 import articles_pb2
from server.articles.rendering.comparing import Hunk
from server.articles.rules.highlighting import highlighted
from server.articles.rules.writing import ArticleDraft, is_language, is_slug, same_tag
from server.articles.service.publishing import Wanted
from server.frame.editing import Edit, edit_of, etag_of
from server.frame.errors import FieldInvalid
from server.frame.wire import EnumNames, id_text, optional_uuid, require, timestamp
from storage.articles.records import (
    ArticleFilter,
    ArticleState,
    ListedArticle,
    Listing,
    Match,
    Review,
    ReviewState,
    Revision,
    RevisionBody,
    RevisionHead,
    Translation,
    WholeArticle,
)

_MIN_CONTENT = 10
"""In characters."""

_STATES = EnumNames(ArticleState, articles_pb2.ArticleState)
_REVIEWS = EnumNames(ReviewState, articles_pb2.ReviewState)
_KINDS = {
    "=": articles_pb2.DiffLine.KIND_EQUAL,
    "-": articles_pb2.DiffLine.KIND_REMOVED,
    "+": articles_pb2.DiffLine.KIND_ADDED,
}


def draft(article: articles_pb2.Article) -> ArticleDraft:
    """Raises FieldInvalid where the language, the title or the content is missing, or the content is too short."""
    require(article, "language", "title", "content")
    if not is_language(article.language):
        raise FieldInvalid.of("article.language", 'must be a tag of BCP 47 such as "en", "pt-BR" or "zh-Hant"')
    values = {name: read(article) for name, read in _FIELDS.items() if name != "slug"}
    return ArticleDraft(
        original_id=optional_uuid(article.original_id),
        language=article.language,
        slug=_slug(article) if article.slug else "",
        **values,
    )


def edit(request: pb.UpdateArticleRequest) -> Edit[UUID]:
    """Raises FieldInvalid where the article_id is missing, the mask names another field, or a value is missing."""
    return edit_of(request.article, request.update_mask, ("article_id", UUID), _FIELDS)


def _slug(article: articles_pb2.Article) -> str:
    if not is_slug(article.slug):
        said = "must be lower-case letters and digits with dashes between, up to 100 characters"
        raise FieldInvalid.of("article.slug", said)
    return article.slug


def _title(article: articles_pb2.Article) -> str:
    if not article.title.strip():
        raise FieldInvalid.of("article.title", "must be 1 to 200 characters, not all of them spaces")
    return normalize("NFC", article.title)[:200]


def _content(article: articles_pb2.Article) -> str:
    if len(article.content.strip()) < _MIN_CONTENT:
        said = f"must be at least {_MIN_CONTENT} characters, without counting spaces around"
        raise FieldInvalid.of("article.content", said)
    return article.content


def _tags(article: articles_pb2.Article) -> tuple[str, ...]:
    found = [same_tag(tag) for tag in article.tags]
    for place, tag in enumerate(found):
        if not tag:
            raise FieldInvalid.of(f"article.tags[{place}]", "must have a character that is not a space")
    return tuple(dict.fromkeys(found))


_FIELDS: Mapping[str, Callable[[articles_pb2.Article], Any]] = {
    "slug": _slug,
    "title": _title,
    "summary": lambda article: normalize("NFC", article.summary),
    "content": _content,
    "tags": _tags,
}
"""The fields of an article that a caller sets, and how each is read."""


def listing(view: int) -> Listing:
    """What a view shows."""
    return Listing.LATEST if view == articles_pb2.ARTICLE_VIEW_LATEST else Listing.PUBLISHED


def name(request: pb.GetArticleRequest) -> UUID | tuple[str, str]:
    """An article's id, or its language and a slug."""
    if request.WhichOneof("name") == "slug":
        return request.slug.language, request.slug.slug
    return UUID(request.article_id)


def article_filter(request: pb.ListArticlesRequest) -> ArticleFilter:
    """Raises FieldInvalid where readers ask for what they do not see."""
    wanted = ArticleFilter(
        listing=listing(request.view),
        language=request.language or None,
        tag=same_tag(request.tag) or None,
        author_id=optional_uuid(request.author_id),
        state=_STATES.find(request.state),
        scheduled=request.scheduled,
        review_state=_REVIEWS.find(request.review_state),
    )
    if wanted.listing is Listing.PUBLISHED and (wanted.scheduled or wanted.review_state is not None):
        raise FieldInvalid.of("view", "must be ARTICLE_VIEW_LATEST to list by schedule or review")
    return wanted


def wanted(request: pb.PublishArticleRequest | pb.ScheduleArticleRequest | pb.ScheduledArticle) -> Wanted:
    return Wanted(UUID(request.article_id), request.revision, request.etag)


def all_wanted(request: pb.ScheduleArticlesRequest) -> Sequence[Wanted]:
    """Raises FieldInvalid where an article is named twice."""
    found = [wanted(each) for each in request.articles]
    if len({each.article_id for each in found}) < len(found):
        raise FieldInvalid.of("articles", "must name each article once")
    return found


def whole(found: WholeArticle, of: Listing) -> articles_pb2.Article:
    message = article(found.listed, of, found.body)
    message.translations.extend(map(_translation, found.translations))
    return message


def listed(found: ListedArticle) -> articles_pb2.Article:
    """With its latest revision, for whoever sees that."""
    return article(found, Listing.LATEST)


def article(found: ListedArticle, of: Listing, body: RevisionBody | None = None) -> articles_pb2.Article:
    """An article with one of its revisions; without what only those see who see its drafts, where readers see it."""
    kept, head = found.article, found.head
    message = articles_pb2.Article(
        article_id=id_text(kept.id),
        original_id=id_text(kept.original_id),
        language=kept.language,
        slug=kept.slug,
        title=head.title,
        summary=head.summary,
        tags=head.tags,
        author_id=id_text(kept.author_id),
        state=_STATES.wire(kept.state),
        revision=head.number,
        published_revision=kept.published_revision or 0,
        publish_time=timestamp(kept.publish_time),
        etag=etag_of(kept),
        create_time=timestamp(kept.create_time),
        update_time=timestamp(kept.update_time),
    )
    if body is not None:
        message.content, message.html = body.content, body.html
    if of is Listing.LATEST:
        message.latest_revision = kept.revision
        if kept.schedule is not None:
            message.schedule.schedule_id, message.schedule.revision = id_text(kept.schedule.id), kept.schedule.revision
            message.schedule.publish_time.FromDatetime(kept.schedule.publish_time)
        if found.review is not None:
            message.review.CopyFrom(_review(found.review))
    return message


def hit(match: Match) -> articles_pb2.SearchHit:
    return articles_pb2.SearchHit(
        article=article(match.listed, Listing.PUBLISHED),
        rank=match.rank,
        title_html=highlighted(match.folded_title, match.listed.head.title),
        snippet_html=highlighted(match.folded_snippet, match.snippet),
    )


def revision(head: RevisionHead, review: Review | None, body: RevisionBody | None = None) -> articles_pb2.Revision:
    return articles_pb2.Revision(
        article_id=id_text(head.article_id),
        revision=head.number,
        title=head.title,
        summary=head.summary,
        content=body.content if body else "",
        tags=head.tags,
        html=body.html if body else "",
        saved_by=id_text(head.saved_by),
        restored_revision=head.restored_revision or 0,
        review=_review(review) if review else None,
        create_time=timestamp(head.create_time),
    )


def whole_revision(kept: Revision, review: Review | None) -> articles_pb2.Revision:
    return revision(kept.head, review, kept.body)


def differences(before: RevisionHead, after: RevisionHead, hunks: Sequence[Hunk]) -> pb.DiffRevisionsResponse:
    fields = {"title": (before.title, after.title), "summary": (before.summary, after.summary)}
    fields["tags"] = (", ".join(before.tags), ", ".join(after.tags))
    return pb.DiffRevisionsResponse(
        fields=[
            articles_pb2.FieldChange(field=each, before=old, after=new)
            for each, (old, new) in fields.items()
            if old != new
        ],
        hunks=[
            articles_pb2.DiffHunk(
                before_line=old,
                after_line=new,
                lines=[articles_pb2.DiffLine(kind=_KINDS[kind], text=text) for kind, text in lines],
            )
            for old, new, lines in hunks
        ],
    )


def _translation(other: Translation) -> articles_pb2.Translation:
    return articles_pb2.Translation(
        article_id=id_text(other.article_id), language=other.language, slug=other.slug, title=other.title
    )


def _review(kept: Review) -> articles_pb2.Review:
    return articles_pb2.Review(
        state=_REVIEWS.wire(kept.state),
        requested_by=id_text(kept.requested_by),
        request_time=timestamp(kept.request_time),
        decided_by=id_text(kept.decided_by),
        decide_time=timestamp(kept.decide_time),
        comment=kept.comment,
    )
