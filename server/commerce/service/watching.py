from collections.abc import Callable
from datetime import datetime

from server.commerce.rules import orders as rules
from server.frame.caller import Caller
from server.frame.resuming import Position
from server.frame.watching import Feed, WatchMessages
from storage.commerce.records import Movement, OrderAudience, OrderChange
from storage.commerce.store import CommerceReading, CommerceStore
from storage.frame.records import ChangePage, LogEnd, LogRange, News


class OrderChanges:
    """The log of what happened to orders."""

    everybody = OrderAudience()

    def concerns(self, change: OrderChange, audience: OrderAudience) -> bool:
        return rules.concerns(change.order, audience)

    def sequence(self, change: OrderChange) -> int:
        return change.sequence

    async def find_end(self, reading: CommerceReading) -> LogEnd:
        return await reading.order_changes.find_end()

    async def find_news(self, reading: CommerceReading, since: str) -> News:
        return await reading.order_changes.find_news(since)

    async def list_changes(
        self, reading: CommerceReading, log_range: LogRange, limit: int, audience: OrderAudience
    ) -> ChangePage[OrderChange]:
        return await reading.order_changes.list_changes(log_range, limit, audience)


class StockChanges:
    """The ledger of the stock; an audience is a set of SKUs, where none means all."""

    everybody: frozenset[str] = frozenset()

    def concerns(self, change: Movement, audience: frozenset[str]) -> bool:
        return not audience or change.sku in audience

    def sequence(self, change: Movement) -> int:
        return change.sequence

    async def find_end(self, reading: CommerceReading) -> LogEnd:
        return await reading.stock_changes.find_end()

    async def find_news(self, reading: CommerceReading, since: str) -> News:
        return await reading.stock_changes.find_news(since)

    async def list_changes(
        self, reading: CommerceReading, log_range: LogRange, limit: int, audience: frozenset[str]
    ) -> ChangePage[Movement]:
        return await reading.stock_changes.list_changes(log_range, limit, audience)


class Watching:
    """What happens to orders and to the stock, told as it happens."""

    def __init__(self, store: CommerceStore, now: Callable[[], datetime]) -> None:
        self.orders = Feed(store, OrderChanges(), now)
        self.stock = Feed(store, StockChanges(), now)

    def watch_orders(
        self, caller: Caller, customer_id: str | None, position: Position | None
    ) -> WatchMessages[OrderChange]:
        """Tells a caller the changes of all orders that it may see, or of a customer's; raises CustomerNotPermitted."""
        return self.orders.watch(position, rules.audience_of(customer_id, caller))

    def watch_stock(self, skus: frozenset[str], position: Position | None) -> WatchMessages[Movement]:
        """Tells each movement of these products, or of all where none are given."""
        return self.stock.watch(position, skus)
