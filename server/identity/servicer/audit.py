from backroom.identity.v1 import audit_service_pb2 as pb
from backroom.identity.v1 import audit_service_pb2_grpc
from server.frame.call import Call
from server.frame.paging import by_columns, key_sequence, key_time, page_by
from server.identity import messages
from server.identity.service import Auditing

_BY_TIME = by_columns(lambda event: (event.entry.create_time, event.sequence), key_time, key_sequence)


class AuditServicer(audit_service_pb2_grpc.AuditServiceServicer):
    def __init__(self, auditing: Auditing) -> None:
        self._auditing = auditing

    async def ListAuditEvents(self, request: pb.ListAuditEventsRequest, call: Call) -> pb.ListAuditEventsResponse:
        page = page_by(_BY_TIME, request)
        found = await self._auditing.list_latest(messages.audit_filter(request), before=page.after, limit=page.limit)
        events, next_page_token = page.of(found, messages.audit_event)
        return pb.ListAuditEventsResponse(events=events, next_page_token=next_page_token)

    async def VerifyAudit(self, request: pb.VerifyAuditRequest, call: Call) -> pb.VerifyAuditResponse:
        anchors = messages.audit_anchors(request)
        found = await self._auditing.verify(request.after_position, messages.audit_limit(request), anchors)
        return messages.audit_verification(found)
