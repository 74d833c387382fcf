"""The bare gRPC echo: a `grpc.aio` server on uvloop, whose answers are fixed messages of the size of Backroom's own.

.venv/bin/python -m bench.peers.echo --port 0

It parses each request and writes each response, and does nothing in between.
"""

import argparse
import asyncio
import json
import signal
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import grpc
import uvloop
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import money_pb2

from backroom.commerce.v1 import catalog_service_pb2, order_service_pb2, orders_pb2, products_pb2
from backroom.files.v1 import file_service_pb2, files_pb2
from flagd.evaluation.v1 import evaluation_service_pb2

SKU = "echo-0"
ORDER_ID = "0196f2a0-0000-7000-8000-000000000001"
PRODUCT_ID = "0196f2a0-0000-7000-8000-000000000002"
VARIANT = "on"
_ACCOUNT_ID = "0196f2a0-0000-7000-8000-000000000003"
_PRICE = money_pb2.Money(currency_code="GBP", units=2, nanos=550_000_000)


PART_BYTES = 256 * 1024
"""Of a file, in one message."""

_ORDERS, _CATALOG = "backroom.commerce.v1.OrderService", "backroom.commerce.v1.CatalogService"
_FLAGS, _FILES = "flagd.evaluation.v1.Service", "backroom.files.v1.FileService"


def order(now: datetime) -> orders_pb2.Order:
    """PlaceOrder's response for an order of one line."""
    time = _timestamp(now)
    return orders_pb2.Order(
        order_id=ORDER_ID,
        customer_id=_ACCOUNT_ID,
        placed_by=_ACCOUNT_ID,
        state=orders_pb2.ORDER_STATE_PENDING,
        lines=[orders_pb2.OrderLine(sku=SKU, quantity=1, unit_price=_PRICE, amount=_PRICE)],
        line_count=1,
        unit_count=1,
        total=_PRICE,
        create_time=time,
        update_time=time,
        hold_end_time=time,
    )


def product(now: datetime) -> products_pb2.Product:
    time = _timestamp(now)
    return products_pb2.Product(
        product_id=PRODUCT_ID,
        sku=SKU,
        name="Product echo-0",
        price=_PRICE,
        etag="v1",
        create_time=time,
        update_time=time,
    )


def handlers(now: datetime) -> Sequence[grpc.GenericRpcHandler]:
    """Those of PlaceOrder, GetOrder, GetProduct, ResolveBoolean, WriteChunks and DownloadFile."""
    placed = order_service_pb2.PlaceOrderResponse(order=order(now))
    found = order_service_pb2.GetOrderResponse(order=order(now))
    shown = catalog_service_pb2.GetProductResponse(product=product(now))
    served = evaluation_service_pb2.ResolveBooleanResponse(
        value=True, reason="TARGETING_MATCH", variant=VARIANT, metadata=Struct()
    )
    orders = {
        "PlaceOrder": _answering(order_service_pb2.PlaceOrderRequest, placed),
        "GetOrder": _answering(order_service_pb2.GetOrderRequest, found),
    }
    products = {"GetProduct": _answering(catalog_service_pb2.GetProductRequest, shown)}
    flags = {"ResolveBoolean": _answering(evaluation_service_pb2.ResolveBooleanRequest, served)}
    return [
        grpc.method_handlers_generic_handler(_ORDERS, orders),
        grpc.method_handlers_generic_handler(_CATALOG, products),
        grpc.method_handlers_generic_handler(_FLAGS, flags),
        grpc.method_handlers_generic_handler(_FILES, _streams()),
    ]


def _streams() -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":
    """Takes chunks and counts their bytes; answers with as many bytes as it is asked for."""

    async def write(requests: AsyncIterator[file_service_pb2.WriteChunksRequest], _context: object) -> Message:
        received = 0
        async for request in requests:
            received += len(request.data)
        return file_service_pb2.WriteChunksResponse(upload=files_pb2.Upload(received_bytes=received))

    async def download(request: file_service_pb2.DownloadFileRequest, _context: object) -> AsyncIterator[Message]:
        part = bytes(PART_BYTES)
        for offset in range(0, request.length, PART_BYTES):
            yield file_service_pb2.DownloadFileResponse(offset=offset, data=part)

    chunk, answer = file_service_pb2.WriteChunksRequest.FromString, file_service_pb2.WriteChunksResponse
    asked, part_of = file_service_pb2.DownloadFileRequest.FromString, file_service_pb2.DownloadFileResponse
    return {
        "WriteChunks": grpc.stream_unary_rpc_method_handler(write, chunk, answer.SerializeToString),
        "DownloadFile": grpc.unary_stream_rpc_method_handler(download, asked, part_of.SerializeToString),
    }


def _answering(kind: type[Message], answer: Message) -> "grpc.RpcMethodHandler[Message, Message]":
    async def answered(_request: Message, _context: object) -> Message:
        return answer

    return grpc.unary_unary_rpc_method_handler(answered, kind.FromString, type(answer).SerializeToString)


def _timestamp(now: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(now)
    return stamp


async def serve(port: int) -> None:
    """Serves on 127.0.0.1 until SIGTERM or SIGINT, and prints its port in a line of JSON."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(handlers(datetime.now(UTC)))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print(json.dumps({"event": "serving", "port": bound}), flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await server.stop(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
