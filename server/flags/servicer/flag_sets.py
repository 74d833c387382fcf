from backroom.flags.v1 import flag_set_service_pb2 as pb
from backroom.flags.v1 import flag_set_service_pb2_grpc
from server.flags.messages import proposals
from server.flags.messages import sets as messages
from server.flags.rules.set_changes import DeleteSegment
from server.flags.service.changing import Changing
from server.flags.service.reading import Flags
from server.frame.call import Call
from server.frame.paging import by_column, page_by

_BY_ID = by_column(lambda flag_set: flag_set.id, str)
_BY_NAME = by_column(lambda segment: segment.name, str)


class FlagSetServicer(flag_set_service_pb2_grpc.FlagSetServiceServicer):
    def __init__(self, flags: Flags, changing: Changing) -> None:
        self._flags = flags
        self._changing = changing

    async def GetFlagSet(self, request: pb.GetFlagSetRequest, call: Call) -> pb.GetFlagSetResponse:
        return pb.GetFlagSetResponse(flag_set=messages.flag_set(await self._flags.get_set(request.flag_set_id)))

    async def ListFlagSets(self, request: pb.ListFlagSetsRequest, call: Call) -> pb.ListFlagSetsResponse:
        page = page_by(_BY_ID, request)
        found = await self._flags.list_sets(after=page.after, limit=page.limit)
        flag_sets, next_page_token = page.of(found, messages.flag_set)
        return pb.ListFlagSetsResponse(flag_sets=flag_sets, next_page_token=next_page_token)

    async def UpdateFlagSet(self, request: pb.UpdateFlagSetRequest, call: Call) -> pb.UpdateFlagSetResponse:
        done = await self._changing.change(messages.set_edit(request), call.change_context(request))
        flag_set = messages.optional_set(done.shown.flag_set)
        return pb.UpdateFlagSetResponse(flag_set=flag_set, proposal=proposals.optional_proposal(done.proposal))

    async def CreateSegment(self, request: pb.CreateSegmentRequest, call: Call) -> pb.CreateSegmentResponse:
        done = await self._changing.change(messages.segment_creation(request), call.change_context(request))
        segment = messages.optional_segment(done.shown.segment)
        return pb.CreateSegmentResponse(segment=segment, proposal=proposals.optional_proposal(done.proposal))

    async def UpdateSegment(self, request: pb.UpdateSegmentRequest, call: Call) -> pb.UpdateSegmentResponse:
        done = await self._changing.change(messages.segment_edit(request), call.change_context(request))
        segment = messages.optional_segment(done.shown.segment)
        return pb.UpdateSegmentResponse(segment=segment, proposal=proposals.optional_proposal(done.proposal))

    async def GetSegment(self, request: pb.GetSegmentRequest, call: Call) -> pb.GetSegmentResponse:
        found = await self._flags.get_segment(request.flag_set_id, request.name)
        return pb.GetSegmentResponse(segment=messages.segment(found))

    async def ListSegments(self, request: pb.ListSegmentsRequest, call: Call) -> pb.ListSegmentsResponse:
        page = page_by(_BY_NAME, request)
        found = await self._flags.list_segments(request.flag_set_id, after=page.after, limit=page.limit)
        segments, next_page_token = page.of(found, messages.segment)
        return pb.ListSegmentsResponse(segments=segments, next_page_token=next_page_token)

    async def DeleteSegment(self, request: pb.DeleteSegmentRequest, call: Call) -> pb.DeleteSegmentResponse:
        change = DeleteSegment(
            flag_set_id=request.flag_set_id, name=request.name, etag=request.etag, comment=request.comment
        )
        done = await self._changing.change(change, call.change_context(request))
        return pb.DeleteSegmentResponse(proposal=proposals.optional_proposal(done.proposal))
