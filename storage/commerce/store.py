"""What commerce reaches of what is kept: its own repositories, and the frame's."""

from typing import TypeAlias

from storage.commerce.repository import (
    OrderChangeReader,
    OrderReader,
    OrderRepository,
    PaymentReader,
    PaymentRepository,
    ProductReader,
    ProductRepository,
    StockChangeReader,
    StockReader,
    StockRepository,
)
from storage.store import Store, StoreKind
from storage.transaction import Reading, Transaction, on_connection


class CommerceReading(Reading):
    """What can be asked of commerce."""

    order_changes = on_connection(OrderChangeReader)
    orders = on_connection(OrderReader)
    payments = on_connection(PaymentReader)
    products = on_connection(ProductReader)
    stock = on_connection(StockReader)
    stock_changes = on_connection(StockChangeReader)


class CommerceTransaction(CommerceReading, Transaction):
    """What can be asked and changed of commerce, all of it or nothing."""

    orders = on_connection(OrderRepository)
    payments = on_connection(PaymentRepository)
    products = on_connection(ProductRepository)
    stock = on_connection(StockRepository)


COMMERCE = StoreKind(CommerceReading, CommerceTransaction)
CommerceStore: TypeAlias = Store[CommerceReading, CommerceTransaction]
