from dataclasses import replace
from typing import Any
from uuid import UUID

from backroom.webhooks.v1 import deliveries_pb2, webhook_service_pb2_grpc
from backroom.webhooks.v1 import webhook_service_pb2 as pb
from server.frame.call import caller_of
from server.frame.paging import page_of
from server.frame.repeating import ask_of
from server.frame.wire import timestamp
from server.webhooks import messages
from server.webhooks.rules.relaying import fitting
from server.webhooks.rules.signing import shown
from server.webhooks.service import Endpoints
from storage.webhooks.records import Delivery


class WebhookServicer(webhook_service_pb2_grpc.WebhookServiceServicer):
    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    async def CreateEndpoint(self, request: pb.CreateEndpointRequest, context: Any) -> pb.CreateEndpointResponse:
        ask = ask_of(context, request)
        endpoint, secret = await self._endpoints.create(messages.draft(request.endpoint, caller_of(context)), ask)
        return pb.CreateEndpointResponse(endpoint=messages.endpoint(endpoint), secret=shown(secret))

    async def GetEndpoint(self, request: pb.GetEndpointRequest, context: Any) -> pb.GetEndpointResponse:
        endpoint = await self._endpoints.get(UUID(request.endpoint_id))
        return pb.GetEndpointResponse(endpoint=messages.endpoint(endpoint))

    async def ListEndpoints(self, request: pb.ListEndpointsRequest, context: Any) -> pb.ListEndpointsResponse:
        page = page_of(request)
        found = await self._endpoints.list_latest(before=page.by_time(), limit=page.limit)
        endpoints, next_page_token = page.told(found, lambda each: (each.create_time, each.id), messages.endpoint)
        return pb.ListEndpointsResponse(endpoints=endpoints, next_page_token=next_page_token)

    async def UpdateEndpoint(self, request: pb.UpdateEndpointRequest, context: Any) -> pb.UpdateEndpointResponse:
        ask = ask_of(context, request)
        endpoint = await self._endpoints.edit(messages.edit(request), caller_of(context), ask)
        return pb.UpdateEndpointResponse(endpoint=messages.endpoint(endpoint))

    async def DeleteEndpoint(self, request: pb.DeleteEndpointRequest, context: Any) -> pb.DeleteEndpointResponse:
        await self._endpoints.delete(UUID(request.endpoint_id), ask_of(context, request))
        return pb.DeleteEndpointResponse()

    async def RotateSecret(self, request: pb.RotateSecretRequest, context: Any) -> pb.RotateSecretResponse:
        secret, end_time = await self._endpoints.rotate(
            caller_of(context), UUID(request.endpoint_id), ask_of(context, request)
        )
        return pb.RotateSecretResponse(secret=shown(secret), previous_secret_end_time=timestamp(end_time))

    async def SendTestEvent(self, request: pb.SendTestEventRequest, context: Any) -> pb.SendTestEventResponse:
        delivery = await self._endpoints.send_test(UUID(request.endpoint_id), ask_of(context, request))
        return pb.SendTestEventResponse(delivery=self._shown(delivery, context))

    async def ListEventTypes(self, request: pb.ListEventTypesRequest, context: Any) -> pb.ListEventTypesResponse:
        page = page_of(request)
        after = page.key(str)
        found = self._endpoints.list_types(after=after[0] if after else "", limit=page.limit)
        types, next_page_token = page.told(found, lambda each: each[:1], lambda each: messages.event_type(*each))
        return pb.ListEventTypesResponse(event_types=types, next_page_token=next_page_token)

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: Any) -> pb.ListDeliveriesResponse:
        page = page_of(request)
        wanted = messages.delivery_filter(request)
        found = await self._endpoints.list_deliveries(wanted, before=page.by_time(), limit=page.limit)
        smaller = replace(page, size=min(page.size, fitting(found)))
        deliveries, next_page_token = smaller.cut(found, lambda each: (each.create_time, each.id))
        page_deliveries = [self._shown(delivery, context) for delivery in deliveries]
        return pb.ListDeliveriesResponse(deliveries=page_deliveries, next_page_token=next_page_token)

    async def Redeliver(self, request: pb.RedeliverRequest, context: Any) -> pb.RedeliverResponse:
        delivery = await self._endpoints.redeliver(UUID(request.delivery_id), ask_of(context, request))
        return pb.RedeliverResponse(delivery=self._shown(delivery, context))

    def _shown(self, delivery: Delivery, context: Any) -> deliveries_pb2.Delivery:
        readable = self._endpoints.may_read(caller_of(context), delivery.event_type)
        return messages.delivery(delivery, readable=readable)
