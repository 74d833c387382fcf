import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

from backroom.flags.v1 import flag_service_pb2 as pb
from backroom.flags.v1 import flag_service_pb2_grpc
from server.flags.messages import flags as messages
from server.flags.messages import proposals, values
from server.flags.rules.changes import Change
from server.flags.rules.flag_changes import ArchiveFlag, RollbackFlag, SwitchOff
from server.flags.rules.set_changes import ImportFlags
from server.flags.service.changing import Changing
from server.flags.service.reading import Flags
from server.flags.service.scheduling import Schedules
from server.flags.service.trying import Trying
from server.frame.call import Call
from server.frame.errors import FieldInvalid, Overloaded
from server.frame.paging import MAX_PAGE_BYTES, by_column, page_by, page_of
from server.frame.wire import period_of

MAX_IMPORTED_BYTES = 32 * 1024 * 1024
"""Of one import: it is kept until its last piece has come."""
MAX_KEPT_BYTES = 2 * MAX_IMPORTED_BYTES
"""Of all imports under way."""
MAX_PAUSE_SECONDS = 300.0
"""Between two pieces: a stream has no deadline but its caller's, and what it has sent is kept meanwhile."""
_PIECE_BYTES = 128 * 1024
"""Of what is exported in one message."""
_UNSERVED_DAYS = 14
_SETTLED_DAYS = 28

_BY_KEY = by_column(lambda flag: flag.key, str)
_BY_FLAGS_KEY = by_column(lambda stale: stale.flag.key, str)
_BY_VERSION = by_column(lambda version: version.flag.version, lambda text: _version_number(text))


class FlagServicer(flag_service_pb2_grpc.FlagServiceServicer):
    def __init__(self, flags: Flags, changing: Changing, schedules: Schedules, trying: Trying) -> None:
        self._flags = flags
        self._changing = changing
        self._schedules = schedules
        self._trying = trying
        self._kept_bytes = 0

    async def CreateFlag(self, request: pb.CreateFlagRequest, call: Call) -> pb.CreateFlagResponse:
        change = messages.creation(request.flag, request.comment)
        done = await self._changing.change(change, call.change_context(request))
        flag, proposal = messages.optional_flag(done.shown.flag), proposals.optional_proposal(done.proposal)
        return pb.CreateFlagResponse(flag=flag, proposal=proposal)

    async def UpdateFlag(self, request: pb.UpdateFlagRequest, call: Call) -> pb.UpdateFlagResponse:
        done = await self._changing.change(messages.edit(request), call.change_context(request))
        flag, proposal = messages.optional_flag(done.shown.flag), proposals.optional_proposal(done.proposal)
        return pb.UpdateFlagResponse(flag=flag, proposal=proposal)

    async def GetFlag(self, request: pb.GetFlagRequest, call: Call) -> pb.GetFlagResponse:
        return pb.GetFlagResponse(flag=messages.flag(await self._flags.get(request.flag_set_id, request.key)))

    async def ListFlags(self, request: pb.ListFlagsRequest, call: Call) -> pb.ListFlagsResponse:
        page = page_by(_BY_KEY, request)
        found = await self._flags.list_by_key(
            request.flag_set_id,
            after=page.after,
            limit=page.limit,
            archived=request.show_archived,
            prefix=request.key_prefix,
            state=messages.state(request.state),
            owner=request.owner,
            size=MAX_PAGE_BYTES,
        )
        flags, next_page_token = page.of(found, messages.flag)
        return pb.ListFlagsResponse(flags=flags, next_page_token=next_page_token)

    async def ArchiveFlag(self, request: pb.ArchiveFlagRequest, call: Call) -> pb.ArchiveFlagResponse:
        change = ArchiveFlag(
            flag_set_id=request.flag_set_id, key=request.key, etag=request.etag, comment=request.comment
        )
        done = await self._changing.change(change, call.change_context(request))
        flag, proposal = messages.optional_flag(done.shown.flag), proposals.optional_proposal(done.proposal)
        return pb.ArchiveFlagResponse(flag=flag, proposal=proposal)

    async def ListFlagVersions(self, request: pb.ListFlagVersionsRequest, call: Call) -> pb.ListFlagVersionsResponse:
        page = page_by(_BY_VERSION, request)
        found = await self._flags.list_versions(request.flag_set_id, request.key, before=page.after, limit=page.limit)
        versions, next_page_token = page.of(found, messages.version)
        return pb.ListFlagVersionsResponse(versions=versions, next_page_token=next_page_token)

    async def RollbackFlag(self, request: pb.RollbackFlagRequest, call: Call) -> pb.RollbackFlagResponse:
        change = RollbackFlag(
            flag_set_id=request.flag_set_id,
            key=request.key,
            version=request.version,
            etag=request.etag,
            comment=request.comment,
        )
        done = await self._changing.change(change, call.change_context(request))
        flag, proposal = messages.optional_flag(done.shown.flag), proposals.optional_proposal(done.proposal)
        return pb.RollbackFlagResponse(flag=flag, proposal=proposal)

    async def ImportFlags(
        self, request_iterator: AsyncIterator[pb.ImportFlagsRequest], call: Call
    ) -> pb.ImportFlagsResponse:
        requests: list[pb.ImportFlagsRequest] = []
        kept = 0
        try:
            async for request in _in_time(request_iterator):
                size = request.ByteSize()
                kept += size
                self._kept_bytes += size
                if kept > MAX_IMPORTED_BYTES:
                    raise FieldInvalid.of("flag_configuration", f"may be at most {MAX_IMPORTED_BYTES:,} bytes")
                if self._kept_bytes > MAX_KEPT_BYTES:
                    raise Overloaded
                requests.append(request)
            return await self._import(requests, call)
        finally:
            self._kept_bytes -= kept

    async def ExportFlags(self, request: pb.ExportFlagsRequest, call: Call) -> AsyncIterator[pb.ExportFlagsResponse]:
        text = await self._flags.exported(request.flag_set_id, with_details=request.with_details)
        for piece in messages.pieces(text, _PIECE_BYTES):
            yield pb.ExportFlagsResponse(flag_configuration=piece)

    async def SetRollout(self, request: pb.SetRolloutRequest, call: Call) -> pb.SetRolloutResponse:
        done = await self._changing.change(messages.rollout(request), call.change_context(request))
        flag, proposal = messages.optional_flag(done.shown.flag), proposals.optional_proposal(done.proposal)
        return pb.SetRolloutResponse(flag=flag, proposal=proposal)

    async def SwitchOff(self, request: pb.SwitchOffRequest, call: Call) -> pb.SwitchOffResponse:
        change = SwitchOff(flag_set_id=request.flag_set_id, key=request.key, comment=request.comment)
        done = await self._changing.change(change, call.change_context(request))
        return pb.SwitchOffResponse(flag=messages.optional_flag(done.shown.flag))

    async def ExplainFlag(self, request: pb.ExplainFlagRequest, call: Call) -> pb.ExplainFlagResponse:
        context = values.plain_object(request.context)
        found, version = await self._trying.explain(request.flag_set_id, request.key, context)
        return messages.explanation(found, version)

    async def TryFlag(self, request: pb.TryFlagRequest, call: Call) -> pb.TryFlagResponse:
        def change(exists: bool) -> Change:
            return messages.tried(request, exists=exists)

        trials, flag = await self._trying.compare(change, request.key, messages.contexts(request))
        return pb.TryFlagResponse(
            trials=map(messages.trial, trials),
            changed_count=sum(map(messages.differ, trials)),
            flag=messages.flag(flag),
        )

    async def ScheduleFlagChange(
        self, request: pb.ScheduleFlagChangeRequest, call: Call
    ) -> pb.ScheduleFlagChangeResponse:
        draft = proposals.schedule_draft(request.schedule)
        done = await self._schedules.create(draft, call.change_context(request))
        schedule = proposals.schedule(done.shown.schedule) if done.shown.schedule else None
        proposal = proposals.optional_proposal(done.proposal)
        return pb.ScheduleFlagChangeResponse(schedule=schedule, proposal=proposal)

    async def GetFlagSchedule(self, request: pb.GetFlagScheduleRequest, call: Call) -> pb.GetFlagScheduleResponse:
        found = await self._schedules.get(UUID(request.schedule_id))
        return pb.GetFlagScheduleResponse(schedule=proposals.schedule(found))

    async def ListFlagSchedules(self, request: pb.ListFlagSchedulesRequest, call: Call) -> pb.ListFlagSchedulesResponse:
        page = page_of(request)
        found = await self._schedules.list_latest(
            request.flag_set_id,
            flag_key=request.flag_key,
            state=proposals.schedule_state(request.state),
            before=page.after,
            limit=page.limit,
        )
        schedules, next_page_token = page.of(found, proposals.schedule)
        return pb.ListFlagSchedulesResponse(schedules=schedules, next_page_token=next_page_token)

    async def PauseFlagSchedule(self, request: pb.PauseFlagScheduleRequest, call: Call) -> pb.PauseFlagScheduleResponse:
        found = await self._schedules.pause(UUID(request.schedule_id), call.change_context(request))
        return pb.PauseFlagScheduleResponse(schedule=proposals.schedule(found))

    async def ResumeFlagSchedule(
        self, request: pb.ResumeFlagScheduleRequest, call: Call
    ) -> pb.ResumeFlagScheduleResponse:
        found = await self._schedules.resume(UUID(request.schedule_id), call.change_context(request))
        return pb.ResumeFlagScheduleResponse(schedule=proposals.schedule(found))

    async def CancelFlagSchedule(
        self, request: pb.CancelFlagScheduleRequest, call: Call
    ) -> pb.CancelFlagScheduleResponse:
        found = await self._schedules.cancel(UUID(request.schedule_id), call.change_context(request))
        return pb.CancelFlagScheduleResponse(schedule=proposals.schedule(found))

    async def GetFlagUsage(self, request: pb.GetFlagUsageRequest, call: Call) -> pb.GetFlagUsageResponse:
        start, end = period_of(request)
        period = messages.period(request.period)
        found = await self._flags.usage(request.flag_set_id, request.key, period, start, end)
        return pb.GetFlagUsageResponse(counts=map(messages.count, found))

    async def ListStaleFlags(self, request: pb.ListStaleFlagsRequest, call: Call) -> pb.ListStaleFlagsResponse:
        page = page_by(_BY_FLAGS_KEY, request)
        found = await self._flags.list_stale(
            request.flag_set_id,
            after=page.after,
            limit=page.limit,
            unserved=timedelta(days=request.unserved_days or _UNSERVED_DAYS),
            settled=timedelta(days=request.settled_days or _SETTLED_DAYS),
            size=MAX_PAGE_BYTES,
        )
        flags, next_page_token = page.of(found, messages.stale)
        return pb.ListStaleFlagsResponse(flags=flags, next_page_token=next_page_token)

    async def _import(self, requests: list[pb.ImportFlagsRequest], call: Call) -> pb.ImportFlagsResponse:
        first = requests[0] if requests else pb.ImportFlagsRequest()
        change = ImportFlags(
            flag_set_id=first.flag_set_id,
            text="".join(each.flag_configuration for each in requests),
            replace=first.mode == pb.IMPORT_MODE_REPLACE,
            comment=first.comment,
        )
        if first.validate_only:
            shown, proposal = (await self._changing.tried(change)).shown, None
        else:
            done = await self._changing.change(change, call.change_context(*requests))
            shown, proposal = done.shown, proposals.optional_proposal(done.proposal)
        summary = proposals.summary(shown.summary) if shown.summary else None
        return pb.ImportFlagsResponse(summary=summary, proposal=proposal)


def _version_number(text: str) -> int:
    """A flag's version out of a page token; raises ValueError where it is none."""
    number = int(text)
    if not 0 < number < 2**31:
        raise ValueError("not a version")
    return number


async def _in_time(requests: AsyncIterator[pb.ImportFlagsRequest]) -> AsyncIterator[pb.ImportFlagsRequest]:
    """Raises TimeoutError if the next message takes too long."""
    while True:
        async with asyncio.timeout(MAX_PAUSE_SECONDS):
            request = await anext(requests, None)
        if request is None:
            return
        yield request
