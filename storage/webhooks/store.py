"""What webhooks reaches of what is kept: its own repositories, and the frame's."""

from typing import TypeAlias

from storage.store import Store, StoreKind
from storage.transaction import Reading, Transaction, on_connection
from storage.webhooks.repository import (
    DeliveryReader,
    DeliveryRepository,
    EndpointReader,
    EndpointRepository,
    RelayReader,
    RelayRepository,
)


class WebhooksReading(Reading):
    """What can be asked of webhooks."""

    deliveries = on_connection(DeliveryReader)
    endpoints = on_connection(EndpointReader)
    relay = on_connection(RelayReader)


class WebhooksTransaction(WebhooksReading, Transaction):
    """What can be asked and changed of webhooks, all of it or nothing."""

    deliveries = on_connection(DeliveryRepository)
    endpoints = on_connection(EndpointRepository)
    relay = on_connection(RelayRepository)


WEBHOOKS = StoreKind(WebhooksReading, WebhooksTransaction)
WebhooksStore: TypeAlias = Store[WebhooksReading, WebhooksTransaction]
