"""What a route depends on: the caller, the store, and the flags."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

from fastapi import Depends, Request, Security
from openfeature.contrib.tools.flagd.core import FlagdCore
from uuid_utils.compat import uuid7

from bench.peers.usual.placing import Call
from bench.peers.usual.repositories.port import Repository, Storage
from bench.peers.usual.security import Caller, get_caller
from bench.peers.usual.services import FlagService, OrderService, ProductService


async def get_repository(request: Request) -> AsyncIterator[Repository]:
    storage: Storage = request.app.state.storage
    async with storage.transaction() as repository:
        yield repository


async def get_reading_repository(request: Request) -> AsyncIterator[Repository]:
    storage: Storage = request.app.state.storage
    async with storage.reading() as repository:
        yield repository


# With the function's scope, the connection returns to the pool before the response is sent.
Changing = Annotated[Repository, Depends(get_repository, scope="function")]
Reading = Annotated[Repository, Depends(get_reading_repository, scope="function")]

OrderReader = Annotated[Caller, Security(get_caller, scopes=["orders.read"])]
CatalogReader = Annotated[Caller, Security(get_caller, scopes=["catalog.read"])]
FlagEvaluator = Annotated[Caller, Security(get_caller, scopes=["flags.evaluate"])]


async def get_placing_call(
    request: Request, caller: Annotated[Caller, Security(get_caller, scopes=["orders.place"])]
) -> Call:
    address = request.client.host if request.client else ""
    return Call(caller, uuid4(), address, datetime.now(UTC))


PlacingCall = Annotated[Call, Depends(get_placing_call)]


async def get_placing_service(repository: Changing) -> OrderService:
    return OrderService(repository, uuid7)


async def get_order_service(repository: Reading) -> OrderService:
    return OrderService(repository, uuid7)


async def get_product_service(repository: Reading) -> ProductService:
    return ProductService(repository)


async def get_flag_service(request: Request) -> FlagService:
    flags: FlagdCore = request.app.state.flags
    return FlagService(flags)


PlacingOrders = Annotated[OrderService, Depends(get_placing_service)]
Orders = Annotated[OrderService, Depends(get_order_service)]
Products = Annotated[ProductService, Depends(get_product_service)]
Flags = Annotated[FlagService, Depends(get_flag_service)]
