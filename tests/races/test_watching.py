"""Many callers write at two servers while others watch, are disconnected at any moment, and resume elsewhere."""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from backroom.commerce.v1 import inventory_service_pb2, order_service_pb2, orders_pb2
from server.commerce.rules.events import order_event
from server.commerce.rules.orders import HOLD
from server.frame.module import now
from storage.commerce.records import OrderState
from storage.commerce.store import COMMERCE
from storage.database import Database
from storage.store import FRAME
from tests.commerce.goods import cancelled, placed, receipt, stocked
from tests.commerce.values import kept, order, product
from tests.commerce.values import receipt as move
from tests.commerce.watched import begun, holds_change
from tests.faults.load import until
from tests.fixtures.processes import Pair
from tests.fixtures.servers import Api

Change = tuple[str, Any]
"""An order and its new state, or a product and the movement's sequence."""

END = "END"
"""The subject of the last change."""
LATE = product("LATE")

ORDERS = """
    SELECT COALESCE(reference, subject_id::text), data::json ->> 'state'
    FROM frame.events JOIN commerce.orders ON id = subject_id WHERE type LIKE 'order.%' ORDER BY sequence
"""
MOVEMENTS = """
    SELECT sku, sequence FROM commerce.stock_movements JOIN commerce.products ON id = product_id ORDER BY sequence
"""


@dataclass
class Watcher:
    """Follows one kind of change, alternating between the servers."""

    open: Callable[[Api, str], Any]
    read: Callable[[Any], Change]
    """Extracts the change from a message."""
    luck: random.Random
    token: str = ""
    received: list[Change] = field(default_factory=list)
    cuts: int = 0

    async def begin(self, api: Api) -> None:
        call = self.open(api, "")
        self.token = await begun(call)
        call.cancel()

    async def follow(self, apis: Sequence[Api]) -> None:
        """Is disconnected after some messages, or in the middle of one, until the end is received."""
        while not self.received or self.received[-1][0] != END:
            call = self.open(self.luck.choice(apis), self.token)
            try:
                async with asyncio.timeout(self.luck.uniform(0.01, 0.4)):
                    for _ in range(self.luck.randint(1, 60)):
                        self.take(await call.read())
            except TimeoutError:
                pass
            call.cancel()
            self.cuts += 1

    def take(self, message: Any) -> None:
        self.token = message.resume_token
        if holds_change(message):
            self.received.append(self.read(message))


def orders(api: Api, token: str) -> Any:
    return api.orders.WatchOrders(order_service_pb2.WatchOrdersRequest(resume_token=token))


def stock(api: Api, token: str) -> Any:
    return api.inventory.WatchStock(inventory_service_pb2.WatchStockRequest(resume_token=token))


def order_change(message: Any) -> Change:
    return (message.order.reference or message.order.order_id, message.order.state)


def stock_change(message: Any) -> Change:
    return (message.movement.sku, message.movement.sequence)


async def trade(api: Api, luck: random.Random, over: asyncio.Event) -> None:
    """Places orders and cancels most of them, and adjusts stock."""
    while not over.is_set():
        order = await placed(api, (luck.choice("AB"), 1), ("C", 1))
        if luck.random() < 0.7:
            await cancelled(api, order)
        await api.inventory.AdjustStock(receipt(luck.choice("ABC"), 1))


async def come_late(database: Database, watchers: Sequence[Watcher], over: asyncio.Event) -> None:
    """Draws its sequence early, but commits only after all watchers received later changes; a few times."""
    for number in range(5):
        async with database.store(COMMERCE).transaction() as late:
            at = now()  # months-old changes may be purged while this runs
            new = order((LATE, 1), create_time=at, update_time=at, hold_end_time=at + HOLD)
            await late.orders.add([new])
            await late.events.publish([order_event(new)])
            await late.stock.move([move(LATE, 1, before=number)])
            await until(told_more(watchers, 30))
    over.set()


def told_more(watchers: Sequence[Watcher], count: int) -> Callable[[], bool]:
    """Whether each watcher has received this many more changes."""
    wanted = [len(watcher.received) + count for watcher in watchers]
    return lambda: all(len(watcher.received) >= least for watcher, least in zip(watchers, wanted, strict=True))


def by_thing(changes: Iterable[Change]) -> Mapping[str, Sequence[object]]:
    """The changes of each order or product, in the order in which they happened."""
    found: dict[str, list[object]] = {}
    for thing, change in changes:
        found.setdefault(thing, []).append(change)
    return found


async def log(database: Database, statement: str) -> Sequence[Change]:
    async with database.store(FRAME).reading() as tx:
        rows = await tx._connection.execute(text(statement))
        return [(str(thing), change) for thing, change in rows]


async def test_each_watcher_receives_every_change_once_and_in_order(pair: Pair) -> None:
    """However often it is disconnected, and however late a transaction commits."""
    apis = await pair.sign_in("service")
    await kept(pair.database, LATE)
    await stocked(apis[0], END, 1)
    luck = random.Random(7)  # noqa: S311 - not for secrets
    watchers = [Watcher(orders, order_change, luck) for _ in range(4)]
    watchers += [Watcher(stock, stock_change, luck) for _ in range(4)]
    await asyncio.gather(*(watcher.begin(apis[0]) for watcher in watchers))
    for sku in "ABC":
        await stocked(apis[0], sku, 1_000_000)
    over = asyncio.Event()
    async with asyncio.timeout(600), asyncio.TaskGroup() as following:
        for watcher in watchers:
            following.create_task(watcher.follow(apis))
        async with asyncio.TaskGroup() as writing:
            for number in range(6):
                writing.create_task(trade(apis[number % 2], luck, over))
            writing.create_task(come_late(pair.database, watchers, over))
        await placed(apis[1], (END, 1), reference=END)
    states = {state.value: orders_pb2.OrderState.Value(f"ORDER_STATE_{state.name}") for state in OrderState}
    happened = await log(pair.database, ORDERS)
    for watcher in watchers[:4]:
        assert by_thing(watcher.received) == by_thing((thing, states[state]) for thing, state in happened)
    _, *moved = await log(pair.database, MOVEMENTS)  # the first came before they watched
    for watcher in watchers[4:]:
        assert by_thing(watcher.received) == by_thing(moved)
    assert len(happened) > 100
    assert min(watcher.cuts for watcher in watchers) > 5
