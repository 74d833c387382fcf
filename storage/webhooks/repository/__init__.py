"""The only code that touches webhooks' tables."""

from storage.webhooks.repository.deliveries import DeliveryRepository
from storage.webhooks.repository.endpoints import EndpointRepository
from storage.webhooks.repository.received import ReceivedRepository
from storage.webhooks.repository.relay import RelayRepository

__all__ = ["DeliveryRepository", "EndpointRepository", "ReceivedRepository", "RelayRepository"]
