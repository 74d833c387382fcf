"""The only code that touches webhooks' tables."""

from storage.webhooks.repository.deliveries import DeliveryReader, DeliveryRepository
from storage.webhooks.repository.endpoints import EndpointReader, EndpointRepository
from storage.webhooks.repository.relay import RelayReader, RelayRepository

__all__ = [
    "DeliveryReader",
    "DeliveryRepository",
    "EndpointReader",
    "EndpointRepository",
    "RelayReader",
    "RelayRepository",
]
