from typing import Any

from backroom.identity.v1 import audit_service_pb2 as pb
from backroom.identity.v1 import audit_service_pb2_grpc
from server.frame.paging import key_time, page_of
from server.identity import messages
from server.identity.service import Auditing


class AuditServicer(audit_service_pb2_grpc.AuditServiceServicer):
    def __init__(self, auditing: Auditing) -> None:
        self._auditing = auditing

    async def ListAuditEvents(self, request: pb.ListAuditEventsRequest, context: Any) -> pb.ListAuditEventsResponse:
        page = page_of(request)
        before = page.key(key_time, messages.audit_sequence)
        found = await self._auditing.list_latest(
            messages.audit_filter(request), before=(before[0], before[1]) if before else None, limit=page.limit
        )
        events, next_page_token = page.told(
            found, lambda event: (event.entry.create_time, event.sequence), messages.audit_event
        )
        return pb.ListAuditEventsResponse(events=events, next_page_token=next_page_token)

    async def VerifyAudit(self, request: pb.VerifyAuditRequest, context: Any) -> pb.VerifyAuditResponse:
        anchors = messages.audit_anchors(request)
        found = await self._auditing.verify(request.after_position, messages.audit_limit(request), anchors)
        return messages.audit_verification(found)
