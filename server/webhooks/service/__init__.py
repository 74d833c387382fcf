"""The use cases of webhooks; each public method is one transaction."""

from server.webhooks.service.delivering import Deliveries
from server.webhooks.service.endpoints import Endpoints
from server.webhooks.service.inbox import Inbox
from server.webhooks.service.purging import Purging
from server.webhooks.service.relay import Relay
from server.webhooks.service.scheduling import DeliveryScheduler
from server.webhooks.service.sealing import Sealing

__all__ = ["Deliveries", "DeliveryScheduler", "Endpoints", "Inbox", "Purging", "Relay", "Sealing"]
