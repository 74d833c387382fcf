"""commerce on the wire: each method takes a message apart, calls one use case, and puts the answer together."""

from server.commerce.servicer.catalog import CatalogServicer
from server.commerce.servicer.inventory import InventoryServicer
from server.commerce.servicer.orders import OrderServicer
from server.commerce.servicer.payments import PaymentServicer

__all__ = ["CatalogServicer", "InventoryServicer", "OrderServicer", "PaymentServicer"]
