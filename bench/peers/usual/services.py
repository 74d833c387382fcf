"""The use cases: one public method is one transaction."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, TypeMismatchError

from bench.peers.usual import placing
from bench.peers.usual.errors import FlagNotFound, FlagTypeMismatch, OrderNotFound, ProductNotFound, RequestIdReused
from bench.peers.usual.models import PENDING
from bench.peers.usual.placing import Call
from bench.peers.usual.repositories.port import Claim, Repository
from bench.peers.usual.schemas import BooleanOut, EvaluationIn, OrderIn, OrderOut, OrderSummary, ProductOut
from bench.peers.usual.security import Caller


class OrderService:
    def __init__(self, repository: Repository, new_id: Callable[[], UUID]) -> None:
        self._repository = repository
        self._new_id = new_id

    async def place(self, asked: OrderIn, call: Call) -> OrderOut:
        """Places an order and holds its stock; a repeated request gets the first answer.

        Raises RequestIdReused, ReferenceTaken, and what `placing.decide` raises.
        """
        order_id = self._new_id()
        if asked.request_id is not None:
            claim = Claim(call.caller.account_id, asked.request_id, _digest(asked), order_id)
            earlier = await self._repository.claim(claim)
            if earlier is not None:
                return await self._as_placed(earlier, claim)
        stock_items = await self._repository.lock({line.sku for line in asked.lines})
        order = placing.decide(asked, call, stock_items, order_id)
        await self._repository.add(order, call)
        await self._repository.commit()
        return OrderOut.model_validate(order)

    async def get(self, caller: Caller, order_id: UUID) -> OrderOut:
        """Raises OrderNotFound, also if the caller may not see it."""
        order = await self._repository.find(order_id)
        if order is None or not _may_see(caller, order):
            raise OrderNotFound
        return order

    async def list_latest(self, caller: Caller, before: tuple[datetime, UUID] | None, limit: int) -> list[OrderSummary]:
        """Orders that the caller may see, latest first, starting below a key of (create_time, id)."""
        customer_id = None if caller.may("orders.read_all") else str(caller.account_id)
        return await self._repository.list_latest(customer_id, before, limit)

    async def _as_placed(self, earlier: Claim, claim: Claim) -> OrderOut:
        if earlier.digest != claim.digest:
            raise RequestIdReused
        order = await self._repository.find(earlier.order_id)
        if order is None:
            raise OrderNotFound
        return order.model_copy(update={"state": PENDING, "cancel_reason": "", "update_time": order.create_time})


class ProductService:
    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    async def get(self, id_or_sku: str) -> ProductOut:
        """Raises ProductNotFound."""
        try:
            product = await self._repository.find_product(UUID(id_or_sku))
        except ValueError:
            product = await self._repository.find_product_by_sku(id_or_sku)
        if product is None:
            raise ProductNotFound
        return product


class FlagService:
    def __init__(self, flags: FlagdCore) -> None:
        self._flags = flags

    def boolean(self, key: str, asked: EvaluationIn) -> BooleanOut:
        """Raises FlagNotFound, FlagTypeMismatch."""
        attributes = dict(asked.context)
        context = EvaluationContext(attributes.pop("targetingKey", None), attributes)
        try:
            found = self._flags.resolve_boolean_value(key, False, context)
        except FlagNotFoundError:
            raise FlagNotFound from None
        except TypeMismatchError:
            raise FlagTypeMismatch from None
        return BooleanOut(
            key=key,
            value=found.value,
            variant=found.variant,
            reason=found.reason or "",
            metadata=dict(found.flag_metadata),
        )


def _digest(asked: OrderIn) -> bytes:
    return hashlib.sha256(asked.model_dump_json(exclude={"request_id"}).encode()).digest()


def _may_see(caller: Caller, order: OrderOut) -> bool:
    own = order.placed_by == caller.account_id or order.customer_id == str(caller.account_id)
    return own or caller.may("orders.read_all")
