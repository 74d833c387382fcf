"""The use cases of commerce; each public method is one transaction, but for those of Paying, which call a provider."""

from server.commerce.service.catalog import Catalog
from server.commerce.service.inventory import Inventory
from server.commerce.service.orders import Orders
from server.commerce.service.paying import Paying
from server.commerce.service.payments import Payments
from server.commerce.service.settling import Settling
from server.commerce.service.watching import Watching

__all__ = ["Catalog", "Inventory", "Orders", "Paying", "Payments", "Settling", "Watching"]
