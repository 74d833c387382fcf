"""The only code that touches commerce's tables."""

from storage.commerce.repository.changes import OrderChangeReader, StockChangeReader
from storage.commerce.repository.orders import OrderReader, OrderRepository
from storage.commerce.repository.payments import PaymentReader, PaymentRepository
from storage.commerce.repository.products import ProductReader, ProductRepository
from storage.commerce.repository.stock import StockReader, StockRepository

__all__ = [
    "OrderChangeReader",
    "OrderReader",
    "OrderRepository",
    "PaymentReader",
    "PaymentRepository",
    "ProductReader",
    "ProductRepository",
    "StockChangeReader",
    "StockReader",
    "StockRepository",
]
