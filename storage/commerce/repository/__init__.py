"""The only code that touches commerce's tables."""

from storage.commerce.repository.changes import OrderChangeRepository, StockChangeRepository
from storage.commerce.repository.orders import OrderRepository
from storage.commerce.repository.payments import PaymentRepository
from storage.commerce.repository.products import ProductRepository
from storage.commerce.repository.stock import StockRepository

__all__ = [
    "OrderChangeRepository",
    "OrderRepository",
    "PaymentRepository",
    "ProductRepository",
    "StockChangeRepository",
    "StockRepository",
]
