"""One lone caller: what batching costs when there is nothing to batch.

The use case is run in this process on the real PostgreSQL, alternately called directly, as a server without batches
would call it, and through the batcher. Everything else that a call costs is the same and left out, so the relative
difference is larger than for a caller over the network.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from time import perf_counter
from uuid import UUID, uuid4

import uuid_utils.compat

from bench.row import Row, row
from bench.setting import Bench
from bench.totals import check_totals, stock_product
from server.commerce.rules.orders import Line, PlaceOrder
from server.commerce.service import Orders
from server.frame.batching import Batcher
from server.frame.caller import Caller
from server.frame.errors import Refusal
from server.frame.module import now
from server.frame.sealing import MasterKeys
from storage.commerce.records import Order
from storage.commerce.store import COMMERCE
from storage.database import Database
from storage.frame.records import ChangeContext, RequestKey

_METHOD = "backroom.commerce.v1.OrderService/PlaceOrder"
_WARM_UP = 20

Place = Callable[[PlaceOrder], Awaitable[object]]


async def lone(bench: Bench) -> list[Row]:
    url = bench.database("lone")
    sku, caller = stock_product(url), Caller(uuid4(), frozenset(["orders.hold_more"]))
    database = Database(url, audit_key=MasterKeys([secrets.token_bytes(32)]).audit_key, pool_size=1)
    orders = Orders(database.store(COMMERCE), now, uuid_utils.compat.uuid7)
    batcher = Batcher[PlaceOrder, Order](orders.place)

    async def directly(planned: PlaceOrder) -> None:
        (answer,) = await orders.place([planned])
        if isinstance(answer, Refusal):
            raise answer

    each = 200 if bench.long else 60
    try:
        await _turns(directly, batcher.submit, lambda: _ask(caller, sku), _WARM_UP)
        await bench.rest()
        taken = [await _turns(directly, batcher.submit, lambda: _ask(caller, sku), each) for _ in range(bench.rounds)]
    finally:
        await batcher.close()
        await database.close()
    await check_totals(url, 2 * (_WARM_UP + each * bench.rounds))
    measured = "PlaceOrder, one lone caller, median latency of the use case"
    figures = [(median(batched) * 1e3, median(direct) * 1e3) for direct, batched in taken]
    return [row(measured, "ms", figures, against="the same without batches", goal=1 / 1.05, lower_is_better=True)]


async def _turns(
    one: Place, other: Place, new_ask: Callable[[], PlaceOrder], each: int
) -> tuple[Sequence[float], Sequence[float]]:
    """The latencies of both, in seconds; the order within each pair alternates."""
    taken: tuple[list[float], list[float]] = ([], [])
    sides = [(one, taken[0]), (other, taken[1])]
    for _ in range(each):
        for place, latencies in sides:
            planned = new_ask()
            began = perf_counter()
            await place(planned)
            latencies.append(perf_counter() - began)
        sides.reverse()
    return taken


def _ask(caller: Caller, sku: str) -> PlaceOrder:
    key = RequestKey(caller.account_id, uuid4(), secrets.token_bytes(32))
    asked = ChangeContext(caller.account_id, _METHOD, now(), "127.0.0.1", secrets.token_hex(16), key)
    order_id: UUID = uuid_utils.compat.uuid7()
    return PlaceOrder(caller, asked, order_id, None, None, (Line(sku, 1, None),))
