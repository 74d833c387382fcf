"""The use cases of commerce; each public method is one transaction."""

from server.commerce.service.catalog import Catalog
from server.commerce.service.inventory import Inventory
from server.commerce.service.orders import Orders

__all__ = ["Catalog", "Inventory", "Orders"]
