from backroom.events.v1 import webhook_mapping_service_pb2 as pb2
from backroom.events.v1 import webhook_mapping_service_pb2_grpc
from server.events.messages.webhook_mappings import mapping_of, webhook_mapping
from server.events.service.webhook_mappings import WebhookMappings
from server.frame.call import Call
from server.frame.paging import by_column, page_by

_BY_SOURCE = by_column(lambda mapping: mapping.webhook_source, str)


class WebhookMappingServicer(webhook_mapping_service_pb2_grpc.WebhookMappingServiceServicer):
    def __init__(self, mappings: WebhookMappings) -> None:
        self._mappings = mappings

    async def SetWebhookMapping(
        self, request: pb2.SetWebhookMappingRequest, call: Call
    ) -> pb2.SetWebhookMappingResponse:
        sent = request.webhook_mapping
        found = await self._mappings.put(mapping_of(sent), sent.etag, call.change_context(request))
        return pb2.SetWebhookMappingResponse(webhook_mapping=webhook_mapping(found))

    async def ListWebhookMappings(
        self, request: pb2.ListWebhookMappingsRequest, call: Call
    ) -> pb2.ListWebhookMappingsResponse:
        page = page_by(_BY_SOURCE, request)
        found = await self._mappings.list_by_source(after=page.after, limit=page.limit)
        mappings, next_page_token = page.of(found, webhook_mapping)
        return pb2.ListWebhookMappingsResponse(webhook_mappings=mappings, next_page_token=next_page_token)

    async def DeleteWebhookMapping(
        self, request: pb2.DeleteWebhookMappingRequest, call: Call
    ) -> pb2.DeleteWebhookMappingResponse:
        await self._mappings.delete(request.webhook_source, request.etag, call.change_context(request))
        return pb2.DeleteWebhookMappingResponse()
