"""Products, the stock that a selection needs, and its write-offs."""

from collections.abc import Sequence

from backroom.commerce.v1.inventory_service_pb2 import AdjustStockRequest
from backroom_client import AsyncBackroom
from replay import plan
from replay.calling import Calls, Step
from replay.dataset import Dataset, WriteOff


class Stocking:
    """Changes the catalog and the stock, one change at a time."""

    def __init__(self, client: AsyncBackroom, calls: Calls) -> None:
        self._client = client
        self._calls = calls

    async def import_products(self, dataset: Dataset) -> None:
        requests = list(plan.imports(dataset))
        self._calls.progress.begin(Step.IMPORT, len(requests))
        await self._calls.with_retries(lambda: self._client.catalog.ImportProducts(iter(requests)))
        self._calls.progress.advance(len(requests))

    async def receive(self, dataset: Dataset) -> None:
        requests = list(plan.receipts(dataset))
        self._calls.progress.begin(Step.RECEIVE, len(requests))

        async def book(request: AdjustStockRequest) -> None:
            await self._adjust("stock", f"stock of {request.sku}", request)

        await self._calls.concurrently(book, requests)

    async def write_off(self, write_offs: Sequence[WriteOff]) -> Sequence[WriteOff]:
        """Returns those that were booked."""
        self._calls.progress.begin(Step.WRITE_OFF, len(write_offs))
        booked: list[WriteOff] = []

        async def book(lost: WriteOff) -> None:
            which = f"write-off of {lost.sku} in {lost.invoice}"
            if await self._adjust("write-off", which, plan.write_off_request(lost)):
                booked.append(lost)

        await self._calls.concurrently(book, write_offs)
        return booked

    async def _adjust(self, what: str, which: str, request: AdjustStockRequest) -> bool:
        """Whether the stock was changed."""
        answer = await self._calls.change(what, which, lambda: self._client.inventory.AdjustStock(request))
        self._calls.progress.advance()
        return answer is not None
