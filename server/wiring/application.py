import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog
import uuid_utils.compat
from prometheus_client import CollectorRegistry

import migrations
from server.frame.addresses import Network
from server.frame.contract import largest_bodies_of, rules_of
from server.frame.health import Health
from server.frame.interceptors import CallLimits, InFlight, chain
from server.frame.jobs import Task
from server.frame.keeping import keeping_tasks
from server.frame.sealing import MasterKeys
from server.frame.standard import STANDARD_RULES
from server.identity.credentials.keys import MasterKeyWrong
from server.identity.credentials.passwords import Passwords
from server.identity.roles import CUSTOMER, PERMISSIONS, ROLES
from server.settings import LOCAL_ISSUER
from server.webhooks.rules.sources import Source
from server.wiring.commerce import Trade, commerce_part
from server.wiring.identity import Mail, build_identity, identity_part
from server.wiring.parts import Clock, NewId, Part, now
from server.wiring.webhooks import webhooks_part
from storage.connection import check_issuer
from storage.database import Database
from storage.errors import StoreError, StoreUnavailable
from storage.store import FRAME
from storage.trouble import Kind, Trouble


class Application:
    """Everything that one process serves, wired but not yet listening."""

    def __init__(
        self,
        database: Database,
        modules: Sequence[str],
        logger: structlog.typing.FilteringBoundLogger,
        master_keys: MasterKeys,
        *,
        issuer: str = LOCAL_ISSUER,
        trade: Trade = Trade(),  # noqa: B008 - it is frozen
        limits: CallLimits = CallLimits(),  # noqa: B008 - it is frozen
        sources: Sequence[Source] = (),
        allowed_networks: Sequence[Network] = (),
        trusted_proxies: Sequence[Network] = (),
        mail: Mail = Mail(),  # noqa: B008 - it is frozen
        anchor_file: Path | None = None,
        passwords: Passwords | None = None,
        now: Clock = now,
        new_id: NewId = uuid_utils.compat.uuid7,
    ) -> None:
        """`sources` may send webhooks, and `allowed_networks` be sent to, public or not; raises ContractError.

        `issuer` is the URL of this environment. The record's anchors are kept in `anchor_file`, where one is given;
        `passwords` hashes by other parameters than those of every deployment.
        """
        self.database = database
        self._issuer = issuer
        self._claimed = False
        self.registry = CollectorRegistry()
        self.identity = build_identity(
            *(database, master_keys, now, new_id),
            issuer=issuer,
            mail=mail,
            anchor_file=anchor_file,
            logger=logger,
            passwords=passwords,
        )
        builders: Mapping[str, Callable[[], Part]] = {
            "identity": lambda: identity_part(self.identity, database, now),
            "commerce": lambda: commerce_part(database, trade, now, new_id),
            "webhooks": lambda: webhooks_part(
                database,
                sources,
                allowed_networks,
                master_keys,
                self.registry,
                logger,
                now,
                new_id,
                self.identity.standings.permissions_of,
            ),
        }
        self._parts = [builders[module]() for module in modules]
        self.services = [service for part in self._parts for service in part.services]
        self.tasks: Sequence[Task] = (
            *(task for part in self._parts for task in part.tasks),
            *keeping_tasks(database.store(FRAME), now),
        )
        self._build_doors(limits, logger, trusted_proxies)

    def _build_doors(
        self,
        limits: CallLimits,
        logger: structlog.typing.FilteringBoundLogger,
        trusted_proxies: Sequence[Network],
    ) -> None:
        """What stands around the calls, and what the modules answer on the HTTP side."""
        contract = [service.descriptor for service in self.services]
        rules = {**rules_of(contract, PERMISSIONS), **STANDARD_RULES}
        crowds = {None, *ROLES[CUSTOMER]}
        self.lanes = frozenset(path for path, rule in rules.items() if rule.permission in crowds)
        """The methods that anyone or any customer may crowd at; those that need more than that wait together."""
        self.in_flight = InFlight()
        largest = largest_bodies_of(contract)
        self.chain = chain(
            rules,
            largest,
            self.identity.standings,
            self.in_flight,
            self.registry,
            logger,
            limits,
            trusted_proxies,
            customers=ROLES[CUSTOMER],
        )
        self.health = Health([service.name for service in self.services], self._why_not_ready, logger)
        self.routes = [route for part in self._parts for route in part.routes]

    async def prepare(self) -> None:
        """Makes, opens and seals the keys, and seals other secrets; nothing on a database that is not ready.

        Raises MasterKeyWrong, SealBroken, and StoreUnavailable where that will not pass by itself, as where the
        database belongs to another environment.
        """
        try:
            if await self._behind() is not None:
                return
            await self._claim()
            await self.identity.keys.load()
            for part in self._parts:
                for prepare in part.preparing:
                    await prepare()
        except StoreUnavailable as error:
            if not error.trouble.passing:
                raise
        except StoreError:
            pass  # readiness tells of it, and opens the keys once the database answers

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
        look = await self.database.look()
        behind = migrations.lacking(look.revision)
        if behind is not None:
            return behind
        if look.read_only:
            raise StoreUnavailable(Trouble(Kind.STANDBY, "it is a standby, or set read-only"))
        if self.database.commits_overdue or any(batcher.stuck() for part in self._parts for batcher in part.batchers):
            raise StoreUnavailable(Trouble(Kind.UNCONFIRMED, "it answers, but changes are not confirmed in time"))
        if not self._claimed:
            await self._claim()
        if not self.identity.keys.loaded:
            try:
                await self.identity.keys.load()
            except MasterKeyWrong:
                return "BACKROOM_MASTER_KEY does not open the keys of this database"
        return None

    async def _claim(self) -> None:
        """Has the database belong to this environment; raises StoreUnavailable where it is another one's."""
        async with self.database.store(FRAME).transaction() as tx:
            check_issuer(await tx.environment.claim(self._issuer), self._issuer)
        self._claimed = True

    async def _behind(self) -> str | None:
        return migrations.lacking(await self.database.revision())
