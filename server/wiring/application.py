import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog
import uuid_utils.compat
from prometheus_client import CollectorRegistry

import migrations
from server.frame.contract import rules_of
from server.frame.health import Health
from server.frame.interceptors import InFlight, chain
from server.frame.jobs import Task
from server.frame.keeping import keeping_tasks
from server.frame.sealing import MasterKeys
from server.frame.standard import STANDARD_RULES
from server.http.app import create_app
from server.identity.roles import PERMISSIONS
from server.webhooks.rules.networks import Network
from server.webhooks.rules.sources import Source
from server.wiring.commerce import Trade, commerce_part
from server.wiring.identity import build_identity, identity_part
from server.wiring.parts import Clock, NewId, Part, now
from server.wiring.webhooks import webhooks_part
from storage.database import Database


class Application:
    """Everything that one process serves, wired but not yet listening."""

    def __init__(
        self,
        database: Database,
        modules: Sequence[str],
        logger: structlog.typing.FilteringBoundLogger,
        master_keys: MasterKeys,
        *,
        trade: Trade = Trade(),  # noqa: B008 - it is frozen
        sources: Sequence[Source] = (),
        allowed_networks: Sequence[Network] = (),
        now: Clock = now,
        new_id: NewId = uuid_utils.compat.uuid7,
    ) -> None:
        """`sources` may send webhooks, and `allowed_networks` be sent to, public or not; raises ContractError."""
        self.database = database
        self.registry = CollectorRegistry()
        self.identity = build_identity(database, master_keys, now, new_id)
        builders: Mapping[str, Callable[[], Part]] = {
            "identity": lambda: identity_part(self.identity),
            "commerce": lambda: commerce_part(database, trade, now, new_id),
            "webhooks": lambda: webhooks_part(database, sources, allowed_networks, self.registry, logger, now, new_id),
        }
        self._parts = [builders[module]() for module in modules]
        self.services = [service for part in self._parts for service in part.services]
        self.tasks: Sequence[Task] = (
            *(task for part in self._parts for task in part.tasks),
            *keeping_tasks(database, now),
        )
        self._build_doors(logger)

    def _build_doors(self, logger: structlog.typing.FilteringBoundLogger) -> None:
        """What stands around the calls, and the HTTP side."""
        rules = {**rules_of((service.descriptor for service in self.services), PERMISSIONS), **STANDARD_RULES}
        self.in_flight = InFlight()
        self.interceptors = chain(rules, self.identity.tokens, self.in_flight, self.registry, logger)
        self.health = Health([service.name for service in self.services], self._why_not_ready, logger)
        routes = [route for part in self._parts for route in part.routes]
        self.http = create_app(self.health, self.registry, self.identity.keys.jwks, routes)

    async def drain(self) -> None:
        """Ends the watches, which would not end by themselves."""
        await asyncio.gather(*(feed.close() for part in self._parts for feed in part.feeds))

    async def finish(self) -> None:
        """Answers the asks that wait in batches, and ends connections; to be called once no new ones come."""
        for part in self._parts:
            for batcher in part.batchers:
                await batcher.close()
            for close in part.closing:
                await close()
        self.identity.passwords.close()

    async def _why_not_ready(self) -> str | None:
        revision = await self.database.revision()
        if revision is None or revision < migrations.head():
            return f"the database stands at migration {revision}, and {migrations.head()} is needed: backroom migrate"
        return None
