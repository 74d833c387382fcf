from uuid import UUID

from backroom.webhooks.v1 import deliveries_pb2, webhook_service_pb2_grpc
from backroom.webhooks.v1 import webhook_service_pb2 as pb
from server.frame.call import Call
from server.frame.paging import by_column, page_by, page_of
from server.frame.wire import timestamp
from server.webhooks import messages
from server.webhooks.rules.signing import shown
from server.webhooks.service import Endpoints
from storage.webhooks.records import Delivery

_BY_NAME = by_column(lambda event_type: event_type[0], str)


class WebhookServicer(webhook_service_pb2_grpc.WebhookServiceServicer):
    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    async def CreateEndpoint(self, request: pb.CreateEndpointRequest, call: Call) -> pb.CreateEndpointResponse:
        change = call.change_context(request)
        endpoint, secret = await self._endpoints.create(messages.draft(request.endpoint, call.caller), change)
        return pb.CreateEndpointResponse(endpoint=messages.endpoint(endpoint), secret=shown(secret))

    async def GetEndpoint(self, request: pb.GetEndpointRequest, call: Call) -> pb.GetEndpointResponse:
        endpoint = await self._endpoints.get(UUID(request.endpoint_id))
        return pb.GetEndpointResponse(endpoint=messages.endpoint(endpoint))

    async def ListEndpoints(self, request: pb.ListEndpointsRequest, call: Call) -> pb.ListEndpointsResponse:
        page = page_of(request)
        found = await self._endpoints.list_latest(before=page.after, limit=page.limit)
        endpoints, next_page_token = page.of(found, messages.endpoint)
        return pb.ListEndpointsResponse(endpoints=endpoints, next_page_token=next_page_token)

    async def UpdateEndpoint(self, request: pb.UpdateEndpointRequest, call: Call) -> pb.UpdateEndpointResponse:
        change = call.change_context(request)
        endpoint = await self._endpoints.edit(messages.edit(request), call.caller, change)
        return pb.UpdateEndpointResponse(endpoint=messages.endpoint(endpoint))

    async def DeleteEndpoint(self, request: pb.DeleteEndpointRequest, call: Call) -> pb.DeleteEndpointResponse:
        await self._endpoints.delete(UUID(request.endpoint_id), call.change_context(request))
        return pb.DeleteEndpointResponse()

    async def RotateSecret(self, request: pb.RotateSecretRequest, call: Call) -> pb.RotateSecretResponse:
        secret, end_time = await self._endpoints.rotate(
            call.caller, UUID(request.endpoint_id), call.change_context(request)
        )
        return pb.RotateSecretResponse(secret=shown(secret), previous_secret_end_time=timestamp(end_time))

    async def SendTestEvent(self, request: pb.SendTestEventRequest, call: Call) -> pb.SendTestEventResponse:
        delivery = await self._endpoints.send_test(UUID(request.endpoint_id), call.change_context(request))
        return pb.SendTestEventResponse(delivery=self._shown(delivery, call))

    async def ListEventTypes(self, request: pb.ListEventTypesRequest, call: Call) -> pb.ListEventTypesResponse:
        page = page_by(_BY_NAME, request)
        found = self._endpoints.list_types(after=page.after or "", limit=page.limit)
        types, next_page_token = page.of(found, lambda each: messages.event_type(*each))
        return pb.ListEventTypesResponse(event_types=types, next_page_token=next_page_token)

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, call: Call) -> pb.ListDeliveriesResponse:
        page = page_of(request)
        wanted = messages.delivery_filter(request)
        found = await self._endpoints.list_deliveries(wanted, before=page.after, limit=page.limit)
        # A body counts, though it may not be shown: what was found ends where all bodies are large together.
        deliveries, next_page_token = page.of(
            found, lambda delivery: self._shown(delivery, call), size=lambda delivery: len(delivery.body.encode())
        )
        return pb.ListDeliveriesResponse(deliveries=deliveries, next_page_token=next_page_token)

    async def Redeliver(self, request: pb.RedeliverRequest, call: Call) -> pb.RedeliverResponse:
        delivery = await self._endpoints.redeliver(UUID(request.delivery_id), call.change_context(request))
        return pb.RedeliverResponse(delivery=self._shown(delivery, call))

    def _shown(self, delivery: Delivery, call: Call) -> deliveries_pb2.Delivery:
        readable = self._endpoints.may_read(call.caller, delivery.event_type)
        return messages.delivery(delivery, readable=readable)
