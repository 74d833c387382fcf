from collections.abc import AsyncIterator, Callable
from datetime import datetime

from backroom.commerce.v1 import inventory_service_pb2 as pb
from backroom.commerce.v1 import inventory_service_pb2_grpc
from server.commerce import messages
from server.commerce.rules.inventory import AdjustStock
from server.commerce.service import Inventory, Watching
from server.frame.batching import Batcher
from server.frame.call import Call
from server.frame.paging import by_column, key_sequence, page_by
from server.frame.resuming import watch_of
from storage.commerce.records import StockLevel

_BY_SEQUENCE = by_column(lambda movement: movement.sequence, key_sequence)


class InventoryServicer(inventory_service_pb2_grpc.InventoryServiceServicer):
    def __init__(
        self,
        inventory: Inventory,
        adjusting: Batcher[AdjustStock, StockLevel],
        watching: Watching,
        now: Callable[[], datetime],
    ) -> None:
        self._inventory = inventory
        self._adjusting = adjusting
        self._watching = watching
        self._now = now

    async def AdjustStock(self, request: pb.AdjustStockRequest, call: Call) -> pb.AdjustStockResponse:
        level = await self._adjusting.submit(messages.adjustment(request, call.caller, call.change_context(request)))
        return pb.AdjustStockResponse(stock=messages.stock(level))

    async def GetStock(self, request: pb.GetStockRequest, call: Call) -> pb.GetStockResponse:
        return pb.GetStockResponse(stock=messages.stock(await self._inventory.level(request.sku)))

    async def ListStockMovements(
        self, request: pb.ListStockMovementsRequest, call: Call
    ) -> pb.ListStockMovementsResponse:
        page = page_by(_BY_SEQUENCE, request)
        found = await self._inventory.list_movements(request.sku, before=page.after, limit=page.limit)
        movements, next_page_token = page.of(found, messages.movement)
        return pb.ListStockMovementsResponse(movements=movements, next_page_token=next_page_token)

    async def WatchStock(self, request: pb.WatchStockRequest, call: Call) -> AsyncIterator[pb.WatchStockResponse]:
        watch = watch_of(request, self._now())
        async for message in self._watching.watch_stock(frozenset(request.skus), watch.position):
            movement = messages.movement(message.change) if message.change else None
            yield pb.WatchStockResponse(resume_token=watch.token(message.position), movement=movement)
