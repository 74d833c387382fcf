"""What the files beside are made of."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from google.protobuf.descriptor import ServiceDescriptor
from starlette.routing import BaseRoute

from server.frame.batching import Batcher
from server.frame.jobs import Task
from server.frame.watching import Feed

Clock = Callable[[], datetime]
NewId = Callable[[], UUID]


@dataclass(frozen=True)
class Service:
    """One service of the contract, and the servicer that answers for it."""

    descriptor: ServiceDescriptor
    add: Callable[[Any, Any], None]
    """Adds the servicer to a server, or to its lanes."""
    servicer: object

    @property
    def name(self) -> str:
        return str(self.descriptor.full_name)


@dataclass(frozen=True)
class Part:
    """What one module brings into a process."""

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
    closing: Sequence[Callable[[], Awaitable[None]]] = ()
    """What ends its connections to others, in this order."""


def now() -> datetime:
    return datetime.now(UTC)
