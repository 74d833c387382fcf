"""commerce, put together."""

from collections.abc import Sequence
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
from server.commerce.permissions import PERMISSIONS
from server.commerce.providers.configured import Providers, providers_of
from server.commerce.rules.catalog import ProductKey
from server.commerce.rules.events import EVENT_TYPES
from server.commerce.rules.inventory import AdjustStock
from server.commerce.rules.orders import PlaceOrder, ReadOrder, Terms
from server.commerce.rules.settling import Settled
from server.commerce.service import Catalog, Inventory, Orders, Paying, Payments, Settling, Watching
from server.commerce.service.deferring import TAKE_EVENT
from server.commerce.service.settling import Reported
from server.commerce.servicer import CatalogServicer, InventoryServicer, OrderServicer, PaymentServicer
from server.commerce.settings import CommerceSettings
from server.commerce.verifying import compared_with_providers
from server.frame.batching import Batcher
from server.frame.module import Manifest, Module, Service, Shared, Unchecked
from server.frame.personal_data import DeclaredPersonalData
from storage.commerce.personal_data import PERSONAL_DATA
from storage.commerce.records import PAYMENT_SOURCES, Order, Product, StockLevel
from storage.commerce.store import COMMERCE
from storage.database import Database
from storage.laws import Finding

_HEAVIEST_BATCH = 4000
"""In lines: a batch's transaction stays well under a second."""


def build(shared: Shared, settings: CommerceSettings) -> Module:
    store, now, new_id = shared.database.store(COMMERCE), shared.now, shared.new_id
    providers = providers_of(settings)
    catalog = Catalog(store, now, new_id)
    inventory = Inventory(store, now)
    orders = Orders(store, now, new_id, terms_of(settings, providers))
    payments = Payments(store, providers.chosen, now, new_id, providers.payable)
    longest = shared.database.limits.answer
    adjusting = Batcher[AdjustStock, StockLevel](inventory.adjust, longest_seconds=longest)
    placing = Batcher[PlaceOrder, Order](
        orders.place, weigh=lambda request: 4 + len(request.lines), largest=_HEAVIEST_BATCH, longest_seconds=longest
    )
    reading_orders = Batcher[ReadOrder, Order](orders.read, longest_seconds=longest)
    reading_products = Batcher[ProductKey, Product](catalog.read, longest_seconds=longest)
    settling = Batcher[Reported, Settled](Settling(store, now, new_id).settle, longest_seconds=longest)
    paying = Paying(store, providers.by_name, settling, now)
    watching = Watching(store, now)
    of_orders = OrderServicer(orders, placing, reading_orders, watching, now, new_id)
    of_stock = InventoryServicer(inventory, adjusting, watching)
    return Module(
        services=(
            Service(catalog_service_pb2, catalog_service_pb2_grpc, CatalogServicer(catalog, reading_products)),
            Service(inventory_service_pb2, inventory_service_pb2_grpc, of_stock),
            Service(order_service_pb2, order_service_pb2_grpc, of_orders),
            Service(payment_service_pb2, payment_service_pb2_grpc, PaymentServicer(payments, paying)),
        ),
        tasks=tasks(orders, paying),
        batchers=(adjusting, placing, settling, reading_orders, reading_products),
        feeds=(watching.orders, watching.stock),
        closing=(providers.aclose,),
    )


def terms_of(settings: CommerceSettings, providers: Providers) -> Terms:
    """What may be reserved; what cannot be paid with the provider, no order may come to."""
    hold = timedelta(seconds=settings.hold_seconds)
    return Terms(hold, settings.max_unpaid_orders, settings.max_held_pieces, providers.payable_by_chosen)


async def check(database: Database, settings: CommerceSettings) -> Sequence[Finding | Unchecked]:
    return await compared_with_providers(database.store(COMMERCE), settings)


MANIFEST = Manifest(
    name="commerce",
    build=build,
    permissions=PERMISSIONS,
    event_types=EVENT_TYPES,
    takers=dict.fromkeys(PAYMENT_SOURCES, TAKE_EVENT),
    personal_data=lambda database: DeclaredPersonalData(database.store(COMMERCE), PERSONAL_DATA),
    check=check,
)
