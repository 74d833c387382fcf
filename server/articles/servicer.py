from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from backroom.articles.v1 import article_service_pb2 as pb
from backroom.articles.v1 import article_service_pb2_grpc, articles_pb2
from server.articles import messages
from server.articles.http.routes import PublicRoutes
from server.articles.rules.links import VALID_MINUTES
from server.articles.service import Articles, Previews, Publishing, Reviewing, Writing
from server.frame.batching import Batcher
from server.frame.call import Call
from server.frame.paging import SortOrder, by_column, by_columns, key_time, page_by, page_of
from server.frame.resuming import watch_of
from server.frame.wire import optional_uuid, time_of
from storage.articles.records import ListedArticle, Listing, Match, ReviewState, WholeArticle

_BY_PUBLISH_TIME = by_columns(lambda listed: (listed.publish_time, listed.id), key_time, UUID)
_BY_NUMBER = by_column(lambda found: found[0].number, int)
_HITS, _MOST_HITS = 20, 50


def _rank_key(match: Match) -> tuple[float, UUID, datetime]:
    return match.rank, match.listed.id, match.as_of


def _read_rank(texts: Sequence[str]) -> tuple[float, UUID, datetime]:
    rank, article_id, as_of = texts
    if not 0 <= (read := float(rank)) < 1e6:
        raise ValueError("not a rank")
    return read, UUID(article_id), key_time(as_of)


_BY_RANK: SortOrder[tuple[float, UUID, datetime]] = SortOrder(_rank_key, _read_rank)


class ArticleServicer(article_service_pb2_grpc.ArticleServiceServicer):
    def __init__(
        self,
        articles: Articles,
        reading: Batcher[UUID, WholeArticle],
        writing: Writing,
        publishing: Publishing,
        reviewing: Reviewing,
        previews: Previews,
        routes: PublicRoutes,
    ) -> None:
        self._articles = articles
        self._reading = reading
        self._writing = writing
        self._publishing = publishing
        self._reviewing = reviewing
        self._previews = previews
        self._routes = routes

    async def CreateArticle(self, request: pb.CreateArticleRequest, call: Call) -> pb.CreateArticleResponse:
        draft = messages.draft(request.article)
        listed = await self._writing.create(call.caller, draft, call.change_context(request))
        return pb.CreateArticleResponse(article=await self._changed(listed))

    async def UpdateArticle(self, request: pb.UpdateArticleRequest, call: Call) -> pb.UpdateArticleResponse:
        listed = await self._writing.edit(call.caller, messages.edit(request), call.change_context(request))
        return pb.UpdateArticleResponse(article=await self._changed(listed))

    async def GetArticle(self, request: pb.GetArticleRequest, call: Call) -> pb.GetArticleResponse:
        listing, name = messages.listing(request.view), messages.name(request)
        if listing is Listing.PUBLISHED and isinstance(name, UUID):
            found = await self._reading.submit(name)
        else:
            found = await self._articles.get(call.caller, name, listing)
        return pb.GetArticleResponse(article=messages.whole(found, listing))

    async def ListArticles(self, request: pb.ListArticlesRequest, call: Call) -> pb.ListArticlesResponse:
        wanted = messages.article_filter(request)
        page = page_of(request) if wanted.listing is Listing.LATEST else page_by(_BY_PUBLISH_TIME, request)
        found = await self._articles.list_latest(call.caller, wanted, before=page.after, limit=page.limit)
        articles, next_page_token = page.of(found, lambda listed: messages.article(listed, wanted.listing))
        return pb.ListArticlesResponse(articles=articles, next_page_token=next_page_token)

    async def SearchArticles(self, request: pb.SearchArticlesRequest, call: Call) -> pb.SearchArticlesResponse:
        request.page_size = min(request.page_size or _HITS, _MOST_HITS)
        page = page_by(_BY_RANK, request)
        language = request.language or None
        found = await self._articles.search(request.query, language, after=page.after, limit=page.limit)
        hits, next_page_token = page.of(found, messages.hit)
        return pb.SearchArticlesResponse(hits=hits, next_page_token=next_page_token)

    async def DeleteArticle(self, request: pb.DeleteArticleRequest, call: Call) -> pb.DeleteArticleResponse:
        article_id, context = UUID(request.article_id), call.change_context(request)
        await self._writing.delete(call.caller, article_id, request.etag, context)
        return pb.DeleteArticleResponse()

    async def PublishArticle(self, request: pb.PublishArticleRequest, call: Call) -> pb.PublishArticleResponse:
        listed = await self._publishing.publish(call.caller, messages.wanted(request), call.change_context(request))
        return pb.PublishArticleResponse(article=await self._changed(listed))

    async def UnpublishArticle(self, request: pb.UnpublishArticleRequest, call: Call) -> pb.UnpublishArticleResponse:
        article_id, context = UUID(request.article_id), call.change_context(request)
        listed = await self._publishing.unpublish(call.caller, article_id, request.etag, context)
        return pb.UnpublishArticleResponse(article=await self._changed(listed))

    async def ScheduleArticle(self, request: pb.ScheduleArticleRequest, call: Call) -> pb.ScheduleArticleResponse:
        wanted, context = messages.wanted(request), call.change_context(request)
        listed = await self._publishing.schedule(call.caller, wanted, time_of(request.publish_time), context)
        return pb.ScheduleArticleResponse(article=await self._changed(listed))

    async def ScheduleArticles(self, request: pb.ScheduleArticlesRequest, call: Call) -> pb.ScheduleArticlesResponse:
        wanted, context = messages.all_wanted(request), call.change_context(request)
        done = await self._publishing.schedule_many(call.caller, wanted, time_of(request.publish_time), context)
        return pb.ScheduleArticlesResponse(articles=map(messages.listed, done))

    async def UnscheduleArticle(self, request: pb.UnscheduleArticleRequest, call: Call) -> pb.UnscheduleArticleResponse:
        article_id, context = UUID(request.article_id), call.change_context(request)
        listed = await self._publishing.unschedule(call.caller, article_id, request.etag, context)
        return pb.UnscheduleArticleResponse(article=await self._changed(listed))

    async def RequestReview(self, request: pb.RequestReviewRequest, call: Call) -> pb.RequestReviewResponse:
        article_id, context = UUID(request.article_id), call.change_context(request)
        listed = await self._reviewing.request(call.caller, article_id, request.revision, request.etag, context)
        return pb.RequestReviewResponse(article=await self._changed(listed))

    async def ApproveRevision(self, request: pb.ApproveRevisionRequest, call: Call) -> pb.ApproveRevisionResponse:
        return pb.ApproveRevisionResponse(article=await self._decided(request, ReviewState.APPROVED, call))

    async def RejectRevision(self, request: pb.RejectRevisionRequest, call: Call) -> pb.RejectRevisionResponse:
        return pb.RejectRevisionResponse(article=await self._decided(request, ReviewState.REJECTED, call))

    async def GetRevision(self, request: pb.GetRevisionRequest, call: Call) -> pb.GetRevisionResponse:
        found = await self._articles.get_revision(call.caller, UUID(request.article_id), request.revision)
        return pb.GetRevisionResponse(revision=messages.whole_revision(*found))

    async def ListRevisions(self, request: pb.ListRevisionsRequest, call: Call) -> pb.ListRevisionsResponse:
        page, article_id = page_by(_BY_NUMBER, request), UUID(request.article_id)
        found = await self._articles.list_revisions(call.caller, article_id, before=page.after, limit=page.limit)
        revisions, next_page_token = page.of(found, lambda each: messages.revision(*each))
        return pb.ListRevisionsResponse(revisions=revisions, next_page_token=next_page_token)

    async def DiffRevisions(self, request: pb.DiffRevisionsRequest, call: Call) -> pb.DiffRevisionsResponse:
        article_id = UUID(request.article_id)
        return messages.differences(
            *await self._articles.compare(call.caller, article_id, request.before, request.after)
        )

    async def RestoreRevision(self, request: pb.RestoreRevisionRequest, call: Call) -> pb.RestoreRevisionResponse:
        article_id, context = UUID(request.article_id), call.change_context(request)
        listed = await self._writing.restore(call.caller, article_id, request.revision, request.etag, context)
        return pb.RestoreRevisionResponse(article=await self._changed(listed))

    async def CreatePreviewLink(self, request: pb.CreatePreviewLinkRequest, call: Call) -> pb.CreatePreviewLinkResponse:
        article_id, minutes = UUID(request.article_id), request.valid_minutes or VALID_MINUTES
        context = call.change_context(request)
        link = await self._previews.link(call.caller, article_id, request.revision, minutes, context)
        expire_time = Timestamp(seconds=link.until)
        return pb.CreatePreviewLinkResponse(path=self._routes.preview_path(link), expire_time=expire_time)

    async def RevokePreviewLinks(
        self, request: pb.RevokePreviewLinksRequest, call: Call
    ) -> pb.RevokePreviewLinksResponse:
        await self._previews.revoke(call.caller, UUID(request.article_id), call.change_context(request))
        return pb.RevokePreviewLinksResponse()

    async def WatchArticles(
        self, request: pb.WatchArticlesRequest, call: Call
    ) -> AsyncIterator[pb.WatchArticlesResponse]:
        watch = watch_of(request, call.time)
        changes = self._articles.watch(call.caller, optional_uuid(request.article_id), watch.position)
        async for message in changes:
            answer = pb.WatchArticlesResponse(resume_token=watch.token(message.position))
            if message.change:
                answer.change = message.change.happened
                answer.article.CopyFrom(messages.listed(message.change.listed))
            yield answer

    async def _decided(
        self, request: pb.ApproveRevisionRequest | pb.RejectRevisionRequest, state: ReviewState, call: Call
    ) -> articles_pb2.Article:
        article_id, context = UUID(request.article_id), call.change_context(request)
        listed = await self._reviewing.decide(
            call.caller, article_id, request.revision, state, request.comment, context
        )
        return await self._changed(listed)

    async def _changed(self, listed: ListedArticle) -> articles_pb2.Article:
        """With what its latest revision says, which is not kept with the answer."""
        return messages.article(listed, Listing.LATEST, await self._articles.body_of(listed))
