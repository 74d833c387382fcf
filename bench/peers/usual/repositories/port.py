from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from bench.peers.usual.placing import Call, NewOrder, StockItem
from bench.peers.usual.schemas import OrderOut, OrderSummary, ProductOut


@dataclass(frozen=True, slots=True)
class Claim:
    """That a request is being answered, and with which order."""

    caller_id: UUID
    request_id: UUID
    digest: bytes
    order_id: UUID


class Repository(Protocol):
    """All queries and changes, in one transaction that is rolled back unless it is committed."""

    async def claim(self, claim: Claim) -> Claim | None:
        """Claims a new request, or returns the earlier claim.

        It waits for a claim that another transaction is making.
        """
        ...

    async def lock(self, skus: Collection[str]) -> Mapping[str, StockItem]:
        """The stock of the existing products of these SKUs, locked in key order until the transaction ends."""
        ...

    async def add(self, order: NewOrder, call: Call) -> None:
        """Stores the order and its lines, moves its stock, which was locked here, and records the change.

        Raises ReferenceTaken.
        """
        ...

    async def find(self, order_id: UUID) -> OrderOut | None: ...

    async def list_latest(
        self, customer_id: str | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[OrderSummary]:
        """Latest first, starting below a key of (create_time, id); of all customers if none is named."""
        ...

    async def find_product(self, product_id: UUID) -> ProductOut | None: ...

    async def find_product_by_sku(self, sku: str) -> ProductOut | None: ...

    async def commit(self) -> None: ...


class Storage(Protocol):
    """The source of repositories."""

    def transaction(self) -> AbstractAsyncContextManager[Repository]: ...

    def reading(self) -> AbstractAsyncContextManager[Repository]:
        """For queries that need no transaction."""
        ...
