import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from backroom.commerce.v1 import catalog_service_pb2 as pb
from backroom.commerce.v1 import catalog_service_pb2_grpc
from server.commerce import messages
from server.commerce.rules.catalog import ProductDraft, ProductKey
from server.commerce.service import Catalog
from server.frame.batching import Batcher
from server.frame.call import Call
from server.frame.errors import FieldInvalid, Overloaded
from server.frame.paging import MAX_PAGE_BYTES, by_column, page_by
from storage.commerce.records import Product

MAX_IMPORTED = 100_000
MAX_IMPORTED_BYTES = 64 * 1024 * 1024
"""Of all products together: they are kept until the last one has come."""


MAX_KEPT_BYTES = 2 * MAX_IMPORTED_BYTES
"""Of all imports under way: in memory, some bytes take seven times as much as they did on the way."""
MAX_PAUSE_SECONDS = 30.0
"""Between two products: a stream has no deadline but its caller's, and what it has sent is kept meanwhile."""

_BY_SKU = by_column(lambda product: product.sku, str)


class CatalogServicer(catalog_service_pb2_grpc.CatalogServiceServicer):
    def __init__(self, catalog: Catalog, reading: Batcher[ProductKey, Product]) -> None:
        self._catalog = catalog
        self._reading = reading
        self._kept_bytes = 0

    async def CreateProduct(self, request: pb.CreateProductRequest, call: Call) -> pb.CreateProductResponse:
        draft = messages.draft(request.product)
        product = await self._catalog.create(draft, call.change_context(request))
        return pb.CreateProductResponse(product=messages.product(product))

    async def UpdateProduct(self, request: pb.UpdateProductRequest, call: Call) -> pb.UpdateProductResponse:
        product = await self._catalog.edit(messages.edit(request), call.change_context(request))
        return pb.UpdateProductResponse(product=messages.product(product))

    async def GetProduct(self, request: pb.GetProductRequest, call: Call) -> pb.GetProductResponse:
        by_sku = request.WhichOneof("key") == "sku"
        product = await self._reading.submit(request.sku if by_sku else UUID(request.product_id))
        return pb.GetProductResponse(product=messages.product(product))

    async def ListProducts(self, request: pb.ListProductsRequest, call: Call) -> pb.ListProductsResponse:
        page = page_by(_BY_SKU, request)
        found = await self._catalog.list_by_sku(
            after=page.after, limit=page.limit, archived=request.show_archived, size=MAX_PAGE_BYTES
        )
        products, next_page_token = page.of(found, messages.product)
        return pb.ListProductsResponse(products=products, next_page_token=next_page_token)

    async def ImportProducts(
        self, request_iterator: AsyncIterator[pb.ImportProductsRequest], call: Call
    ) -> pb.ImportProductsResponse:
        requests: list[pb.ImportProductsRequest] = []
        kept = 0
        try:
            async for request in _bounded(_in_time(request_iterator)):
                size = request.ByteSize()
                if self._kept_bytes + size > MAX_KEPT_BYTES:
                    raise Overloaded
                kept += size
                self._kept_bytes += size
                requests.append(request)
            drafts = [_draft(request, number) for number, request in enumerate(requests, start=1)]
            count = await self._catalog.import_all(drafts, call.change_context(*requests))
        finally:
            self._kept_bytes -= kept
        return pb.ImportProductsResponse(
            created_count=count.created, updated_count=count.updated, unchanged_count=count.unchanged
        )


def _draft(request: pb.ImportProductsRequest, number: int) -> ProductDraft:
    try:
        return messages.draft(request.product)
    except FieldInvalid as refusal:
        raise refusal.at_message(number) from None


async def _in_time(requests: AsyncIterator[pb.ImportProductsRequest]) -> AsyncIterator[pb.ImportProductsRequest]:
    """Raises TimeoutError where one keeps it waiting for too long."""
    while True:
        async with asyncio.timeout(MAX_PAUSE_SECONDS):
            request = await anext(requests, None)
        if request is None:
            return
        yield request


async def _bounded(requests: AsyncIterator[pb.ImportProductsRequest]) -> AsyncIterator[pb.ImportProductsRequest]:
    count = size = 0
    async for request in requests:
        count += 1
        size += request.ByteSize()
        if count > MAX_IMPORTED:
            raise FieldInvalid.of("product", f"an import may hold at most {MAX_IMPORTED:,} products")
        if size > MAX_IMPORTED_BYTES:
            raise FieldInvalid.of("product", f"an import may hold at most {MAX_IMPORTED_BYTES:,} bytes of products")
        yield request
