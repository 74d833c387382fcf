"""The only code that touches commerce's tables."""

from storage.commerce.repository.orders import OrderRepository
from storage.commerce.repository.products import ProductRepository
from storage.commerce.repository.stock import StockRepository

__all__ = ["OrderRepository", "ProductRepository", "StockRepository"]
