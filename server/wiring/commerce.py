from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from backroom.commerce.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    order_service_pb2,
    order_service_pb2_grpc,
    payment_service_pb2,
    payment_service_pb2_grpc,
)
from server.commerce.jobs import tasks
from server.commerce.providers.port import PaymentProvider
from server.commerce.rules.catalog import ProductKey
from server.commerce.rules.inventory import AdjustStock
from server.commerce.rules.orders import HOLD, MOST_HELD_PIECES, MOST_UNPAID_ORDERS, PlaceOrder, ReadOrder, Terms
from server.commerce.rules.settling import Settled
from server.commerce.service import Catalog, Inventory, Orders, Paying, Payments, Settling, Watching
from server.commerce.service.settling import Reported
from server.commerce.servicer import CatalogServicer, InventoryServicer, OrderServicer, PaymentServicer
from server.frame.batching import Batcher
from server.wiring.parts import Clock, NewId, Part, Service
from storage.commerce.records import Level, Order, Price, Product
from storage.commerce.store import COMMERCE
from storage.database import Database

_HEAVIEST_BATCH = 4000
"""In lines: a batch's transaction stays well under a second."""


@dataclass(frozen=True)
class Trade:
    """How commerce is done: what is held for how long, and who takes the money."""

    hold: timedelta = HOLD
    """For how long an order holds its stock where its caller does not say."""
    providers: Mapping[str, PaymentProvider] = field(default_factory=dict)
    """The payment providers by name: all that payments may have been made with."""
    provider: str | None = None
    """The one that new payments are made with; None where there is none."""
    most_unpaid_orders: int = MOST_UNPAID_ORDERS
    most_held_pieces: int = MOST_HELD_PIECES
    """What a customer may have unpaid at a time: so many orders, which hold so many pieces."""

    @property
    def terms(self) -> Terms:
        """What may be held; what cannot be paid with the provider, no order may come to."""
        provider = self.providers.get(self.provider) if self.provider else None
        bounds = (self.hold, self.most_unpaid_orders, self.most_held_pieces)
        return Terms(*bounds, provider.payable) if provider else Terms(*bounds)

    def payable(self, provider: str, amount: Price) -> bool:
        """Whether a provider can pay an amount; of one that is not configured any more, it is not known."""
        return provider not in self.providers or self.providers[provider].payable(amount)


def commerce_part(database: Database, trade: Trade, now: Clock, new_id: NewId) -> Part:
    store = database.store(COMMERCE)
    catalog = Catalog(store, now, new_id)
    inventory = Inventory(store, now)
    orders = Orders(store, now, new_id, trade.terms)
    payments = Payments(store, trade.provider, now, new_id, trade.payable)
    longest = database.limits.answer
    adjusting = Batcher[AdjustStock, Level](inventory.adjust, longest_seconds=longest)
    placing = Batcher[PlaceOrder, Order](
        orders.place, weigh=lambda ask: 4 + len(ask.lines), largest=_HEAVIEST_BATCH, longest_seconds=longest
    )
    reading_orders = Batcher[ReadOrder, Order](orders.read, longest_seconds=longest)
    reading_products = Batcher[ProductKey, Product](catalog.read, longest_seconds=longest)
    settling = Batcher[Reported, Settled](Settling(store, now, new_id).settle, longest_seconds=longest)
    paying = Paying(store, trade.providers, settling, now)
    watching = Watching(store, now)
    services = _services(
        CatalogServicer(catalog, reading_products),
        InventoryServicer(inventory, adjusting, watching, now),
        OrderServicer(orders, placing, reading_orders, watching, now, new_id),
        PaymentServicer(payments, paying),
    )
    batchers = (adjusting, placing, settling, reading_orders, reading_products)
    return Part(services, tasks(orders, paying), batchers, feeds=(watching.orders, watching.stock))


def _services(
    catalog: CatalogServicer, inventory: InventoryServicer, orders: OrderServicer, payments: PaymentServicer
) -> Sequence[Service]:
    return (
        Service(
            catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"],
            catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server,
            catalog,
        ),
        Service(
            inventory_service_pb2.DESCRIPTOR.services_by_name["InventoryService"],
            inventory_service_pb2_grpc.add_InventoryServiceServicer_to_server,
            inventory,
        ),
        Service(
            order_service_pb2.DESCRIPTOR.services_by_name["OrderService"],
            order_service_pb2_grpc.add_OrderServiceServicer_to_server,
            orders,
        ),
        Service(
            payment_service_pb2.DESCRIPTOR.services_by_name["PaymentService"],
            payment_service_pb2_grpc.add_PaymentServiceServicer_to_server,
            payments,
        ),
    )
