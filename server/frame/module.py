"""What a module is to the house: what it brings once it is built, and a manifest of what is known before."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import ModuleType
from typing import Any, Protocol
from uuid import UUID

import structlog
from google.protobuf.descriptor import ServiceDescriptor
from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute

from server.frame.addresses import Network
from server.frame.batching import Batcher
from server.frame.caller import Caller
from server.frame.events import EventType
from server.frame.jobs import Task
from server.frame.permissions import Permission
from server.frame.personal_data import Parts, PersonalData
from server.frame.sealing import MasterKeys
from server.frame.settings import Deployment
from server.frame.watching import Feed
from storage.database import Database
from storage.frame.records import ChangeContext
from storage.laws import Finding

Clock = Callable[[], datetime]
AlreadyLogged = Callable[[], bool]
"""Whether the log says already that the database is away."""
NewId = Callable[[], UUID]


class SettingMissing(Exception):
    """A module cannot be built from these settings; the text names the setting, and what is needed with it."""


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the contract, and the servicer that answers for it."""

    pb2: ModuleType
    """The generated module that declares the service, and no other one."""
    pb2_grpc: ModuleType
    servicer: object
    open_to: tuple[Network, ...] = ()
    """Networks whose callers need no token, whatever the contract asks of others."""
    goes_on: Callable[[], bool] | None = None
    """Whether it can answer, though the database be away; None where it cannot without it."""

    @property
    def descriptor(self) -> ServiceDescriptor:
        (found,) = self.pb2.DESCRIPTOR.services_by_name.values()
        return found  # type: ignore[no-any-return]  # a generated module has no type of its own

    @property
    def name(self) -> str:
        return str(self.descriptor.full_name)

    def add_to(self, server: Any) -> None:
        """Has a server, or a registry of its methods, answer calls by the servicer."""
        getattr(self.pb2_grpc, f"add_{self.descriptor.name}Servicer_to_server")(self.servicer, server)


class Authentication(Protocol):
    """What every process has of the module identity, whatever it serves."""

    async def permissions_of(self, account_id: UUID) -> frozenset[str] | None:
        """What an account may do now, whoever looks it up; None where the account is disabled or does not exist."""
        ...

    async def caller_with(self, credential: str, context: ChangeContext, *, while_away: bool = False) -> Caller:
        """Whom an access token or an API key stands for; raises TokenInvalid, and records a key that is refused.

        With `while_away`, what was known of it last will do where the database does not say what it is now.
        """
        ...

    async def caller_behind(self, account_id: UUID, issued_for: UUID, *, while_away: bool = False) -> Caller:
        """Who called by a session or a key, as it stands now; raises TokenInvalid where that has ended."""
        ...

    async def changed(self, caller: Caller) -> Caller:
        """Waits until what the caller may do is no longer this, and returns what it is; raises TokenInvalid."""
        ...


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What every module is built from, in addition to its settings."""

    database: Database
    """Of which a module takes its own store: `shared.database.store(COMMERCE)`."""
    now: Clock
    new_id: NewId
    logger: structlog.typing.FilteringBoundLogger
    registry: CollectorRegistry
    """Where a module counts what it wants to be seen in the metrics."""
    master_keys: MasterKeys
    authentication: Authentication
    trusted_proxies: Sequence[Network]
    """Whose word is taken for where a call or a request comes from."""
    event_types: Mapping[str, EventType]
    """Of all modules, those included that are not served here."""
    modules_of_events: Mapping[str, str]
    """By the type of an event, the module that adds it to the log."""
    takers: Mapping[str, str]
    """Of all modules: by the source of a received webhook, the task that takes its events from the inbox."""
    personal_data: Parts
    """Of all modules, those included that are not served here, and of the frame."""
    deployment: Deployment


@dataclass(frozen=True, kw_only=True)
class Module:
    """What one module brings into a process that serves it."""

    services: Sequence[Service]
    tasks: Sequence[Task] = ()
    batchers: Sequence[Batcher[Any, Any]] = ()
    """In the order in which they are to be closed."""
    routes: Sequence[BaseRoute] = ()
    """What it answers on the HTTP side."""
    feeds: Sequence[Feed[Any, Any, Any]] = ()
    """What callers watch."""
    preparing: Sequence[Callable[[], Awaitable[object]]] = ()
    """What is to be done before the first call, on a database that is ready."""
    background: Sequence[Callable[[AlreadyLogged], Coroutine[Any, Any, None]]] = ()
    """What runs beside the calls, in a process that answers any, from before the first one until it ends or a stop."""
    draining: Sequence[Callable[[], Awaitable[None]]] = ()
    """What ends its streams, which would not end by themselves."""
    closing: Sequence[Callable[[], Awaitable[None]]] = ()
    """What ends its connections to others, in this order."""


@dataclass(frozen=True, slots=True)
class Unchecked:
    """Why a law could not be checked now."""

    why: str


@dataclass(frozen=True, slots=True)
class OwnPort:
    """A further address at which some of a module's services are answered, by a gRPC server that has no others."""

    setting: str
    """That of the address, among what `grpc_addresses` of the module's settings gives."""
    services: Sequence[str]
    """By their full names; BACKROOM_GRPC_ADDRESS answers them, too."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is known of a module without building it."""

    name: str
    build: Callable[[Shared, Any], Module]
    """From what all modules share, and this module's settings; raises SettingMissing."""
    permissions: Sequence[Permission] = ()
    """The permissions that its methods require, in the contract or within."""
    event_types: Mapping[str, EventType] = field(default_factory=dict)
    """The types of event that it adds to the log, for others to learn of."""
    private_event_types: Sequence[str] = ()
    """Types of event that it adds to the log for other modules alone: nobody else learns of them. They begin with an
    underscore."""
    takers: Mapping[str, str] = field(default_factory=dict)
    """By the source of a received webhook, the module's task that takes its events from the inbox.

    The task is given the source and the event_id, and marks the event as processed in the transaction of its effect.
    """
    own_ports: Sequence[OwnPort] = ()
    personal_data: Callable[[Database], PersonalData] | None = None
    """What it does with the data of one person; None where it has none."""
    check: Callable[[Database, Any], Awaitable[Sequence[Finding | Unchecked]]] | None = None
    """What `backroom verify` checks in addition to the laws in `storage/<module>/laws.py`: what SQL alone cannot
    decide.

    Of a database and the module's settings; raises SettingMissing.
    """
