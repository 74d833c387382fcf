from typing import Any

from backroom.commerce.v1 import inventory_service_pb2 as pb
from backroom.commerce.v1 import inventory_service_pb2_grpc
from server.commerce import messages
from server.commerce.rules.inventory import AdjustStock
from server.commerce.service import Inventory
from server.frame.batching import Batcher
from server.frame.call import caller_of
from server.frame.paging import page_of
from storage.commerce.records import Level


class InventoryServicer(inventory_service_pb2_grpc.InventoryServiceServicer):
    def __init__(self, inventory: Inventory, adjusting: Batcher[AdjustStock, Level]) -> None:
        self._inventory = inventory
        self._adjusting = adjusting

    async def AdjustStock(self, request: pb.AdjustStockRequest, context: Any) -> pb.AdjustStockResponse:
        level = await self._adjusting.submit(messages.adjustment(request, caller_of(context)))
        return pb.AdjustStockResponse(stock=messages.stock(level))

    async def GetStock(self, request: pb.GetStockRequest, context: Any) -> pb.GetStockResponse:
        return pb.GetStockResponse(stock=messages.stock(await self._inventory.level(request.sku)))

    async def ListStockMovements(
        self, request: pb.ListStockMovementsRequest, context: Any
    ) -> pb.ListStockMovementsResponse:
        page = page_of(request)
        after = page.key(messages.sequence)
        found = await self._inventory.list_movements(request.sku, before=after[0] if after else None, limit=page.limit)
        movements, next_page_token = page.cut(found, lambda movement: (movement.sequence,))
        return pb.ListStockMovementsResponse(
            movements=map(messages.movement, movements), next_page_token=next_page_token
        )
