from collections.abc import Callable
from datetime import datetime

from server.commerce.rules import orders as rules
from server.frame.caller import Caller
from server.frame.change_log import ChangeLog
from server.frame.resuming import Position
from server.frame.watching import Feed, WatchMessages
from storage.commerce.records import Movement, OrderAudience, OrderChange
from storage.commerce.store import CommerceReading, CommerceStore


class OrderChanges(ChangeLog[CommerceReading, OrderChange, OrderAudience]):
    """The log of what happened to orders."""

    def __init__(self) -> None:
        super().__init__(
            lambda reading: reading.order_changes,
            OrderAudience(),
            lambda change, audience: rules.concerns(change.order, audience),
        )


class StockChanges(ChangeLog[CommerceReading, Movement, frozenset[str]]):
    """The ledger of the stock; an audience is a set of SKUs, where none means all."""

    def __init__(self) -> None:
        super().__init__(
            lambda reading: reading.stock_changes,
            frozenset(),
            lambda change, skus: not skus or change.sku in skus,
        )


class Watching:
    """What happens to orders and to the stock, as it happens."""

    def __init__(self, store: CommerceStore, now: Callable[[], datetime]) -> None:
        self.orders = Feed(store, OrderChanges(), now)
        self.stock = Feed(store, StockChanges(), now)

    def watch_orders(
        self, caller: Caller, customer_id: str | None, position: Position | None
    ) -> WatchMessages[OrderChange]:
        """Sends a caller the changes of all orders that it may see, or of a customer's; raises CustomerNotPermitted."""
        return self.orders.watch(position, rules.audience_of(customer_id, caller))

    def watch_stock(self, skus: frozenset[str], position: Position | None) -> WatchMessages[Movement]:
        """Sends each movement of these products, or of all where none are given."""
        return self.stock.watch(position, skus)
