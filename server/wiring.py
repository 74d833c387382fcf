"""The composition root: every object is built here, by hand, top to bottom."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import grpc
import structlog
import uuid_utils.compat
from google.protobuf.descriptor import ServiceDescriptor
from prometheus_client import CollectorRegistry

import migrations
from backroom.commerce.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    order_service_pb2,
    order_service_pb2_grpc,
)
from backroom.identity.v1 import (
    access_service_pb2,
    access_service_pb2_grpc,
    identity_service_pb2,
    identity_service_pb2_grpc,
)
from server.commerce.rules.inventory import AdjustStock
from server.commerce.rules.orders import PlaceOrder
from server.commerce.service import Catalog, Inventory, Orders
from server.commerce.servicer import CatalogServicer, InventoryServicer, OrderServicer
from server.frame.batching import Batcher
from server.frame.contract import rules_of
from server.frame.health import Health
from server.frame.interceptors import InFlight, chain
from server.frame.standard import STANDARD_RULES
from server.http.app import create_app
from server.identity.keys import KeyRing
from server.identity.passwords import Passwords
from server.identity.roles import PERMISSIONS
from server.identity.service import AccessControl, Accounts, Sessions
from server.identity.servicer import AccessServicer, IdentityServicer
from server.identity.tokens import AccessTokens, Secrets
from storage.commerce.records import Level, Order
from storage.database import Database

_HEAVIEST_BATCH = 4000
"""In lines: a batch's transaction stays well under a second."""

Clock = Callable[[], datetime]
NewId = Callable[[], UUID]
Close = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Service:
    """One service of the contract, and the servicer that answers for it."""

    descriptor: ServiceDescriptor
    add: Callable[[Any, grpc.aio.Server], None]
    servicer: object

    @property
    def name(self) -> str:
        return str(self.descriptor.full_name)


@dataclass(frozen=True)
class Identity:
    """The use cases of identity, for the servicers and for the commands that run beside a server."""

    keys: KeyRing
    passwords: Passwords
    tokens: AccessTokens
    secrets: Secrets
    accounts: Accounts
    sessions: Sessions
    access: AccessControl


def now() -> datetime:
    return datetime.now(UTC)


def build_identity(database: Database, now: Clock = now, new_id: NewId = uuid_utils.compat.uuid7) -> Identity:
    keys = KeyRing(database, now)
    passwords = Passwords()
    tokens = AccessTokens(keys, now)
    secrets = Secrets(keys)
    return Identity(
        keys=keys,
        passwords=passwords,
        tokens=tokens,
        secrets=secrets,
        accounts=Accounts(database, passwords, now, new_id),
        sessions=Sessions(database, passwords, tokens, secrets, now, new_id),
        access=AccessControl(database, secrets, now, new_id),
    )


class Application:
    """Everything that one process serves, wired but not yet listening."""

    def __init__(
        self,
        database: Database,
        modules: Sequence[str],
        logger: structlog.typing.FilteringBoundLogger,
        *,
        now: Clock = now,
        new_id: NewId = uuid_utils.compat.uuid7,
    ) -> None:
        """Raises ContractError where the contract promises what cannot be kept."""
        self.database = database
        self._batchers: list[Batcher[Any, Any]] = []
        self.identity = build_identity(database, now, new_id)
        builders: Mapping[str, Callable[[], Sequence[Service]]]
        builders = {"identity": self._identity_services, "commerce": lambda: self._commerce_services(now, new_id)}
        self.services = [service for module in modules for service in builders[module]()]
        rules = {**rules_of((service.descriptor for service in self.services), PERMISSIONS), **STANDARD_RULES}
        self.registry = CollectorRegistry()
        self.in_flight = InFlight()
        self.interceptors = chain(rules, self.identity.tokens, self.in_flight, self.registry, logger)
        self.health = Health([service.name for service in self.services], self._why_not_ready, logger)
        self.http = create_app(self.health, self.registry, self.identity.keys.jwks)

    async def finish(self) -> None:
        """Answers the asks that wait in batches; to be called once no new ones come."""
        for batcher in self._batchers:
            await batcher.close()
        self.identity.passwords.close()

    def _identity_services(self) -> Sequence[Service]:
        identity, access = identity_service_pb2, access_service_pb2
        return (
            Service(
                identity.DESCRIPTOR.services_by_name["IdentityService"],
                identity_service_pb2_grpc.add_IdentityServiceServicer_to_server,
                IdentityServicer(self.identity.accounts, self.identity.sessions, self.identity.secrets),
            ),
            Service(
                access.DESCRIPTOR.services_by_name["AccessService"],
                access_service_pb2_grpc.add_AccessServiceServicer_to_server,
                AccessServicer(self.identity.access, self.identity.sessions),
            ),
        )

    def _commerce_services(self, now: Clock, new_id: NewId) -> Sequence[Service]:
        catalog = Catalog(self.database, now, new_id)
        inventory = Inventory(self.database, now)
        orders = Orders(self.database, now)
        adjusting = Batcher[AdjustStock, Level](inventory.adjust)
        placing = Batcher[PlaceOrder, Order](
            orders.place, weigh=lambda ask: 4 + len(ask.lines), largest=_HEAVIEST_BATCH
        )
        self._batchers += [adjusting, placing]
        return (
            Service(
                catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"],
                catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server,
                CatalogServicer(catalog),
            ),
            Service(
                inventory_service_pb2.DESCRIPTOR.services_by_name["InventoryService"],
                inventory_service_pb2_grpc.add_InventoryServiceServicer_to_server,
                InventoryServicer(inventory, adjusting),
            ),
            Service(
                order_service_pb2.DESCRIPTOR.services_by_name["OrderService"],
                order_service_pb2_grpc.add_OrderServiceServicer_to_server,
                OrderServicer(orders, placing, new_id),
            ),
        )

    async def _why_not_ready(self) -> str | None:
        revision = await self.database.revision()
        if revision is None or revision < migrations.head():
            return f"the database stands at migration {revision}, and {migrations.head()} is needed: backroom migrate"
        return None
