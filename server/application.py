"""The composition root: settings and modules in, one application out, the same for serving and for doing jobs."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, TypeVar

import protovalidate
import structlog
import uuid_utils.compat
from prometheus_client import CollectorRegistry

import migrations
from server.frame.contract import AccessRule, largest_bodies_of, rules_of
from server.frame.databases_apart import DatabasesApart
from server.frame.health import READ_ONLY, UNCONFIRMED, Health
from server.frame.interceptors import CallLimits, InFlight, chain
from server.frame.module import AlreadyLogged, Clock, Manifest, Service, Shared, now
from server.frame.personal_data import DeclaredPersonalData, PersonalData
from server.frame.retention import retention_tasks
from server.frame.sealing import MasterKeys
from server.frame.settings import DatabaseApart
from server.frame.standard import STANDARD_RULES
from server.identity.credentials.keys import MasterKeyWrong
from server.identity.credentials.passwords import Passwords
from server.identity.outbox import Outbox
from server.identity.outbox.configured import mail_of
from server.identity.permissions import CUSTOMER
from server.identity.settings import IdentitySettings
from server.identity.use_cases import build_identity
from server.modules import MODULES, manifest, permissions
from server.settings import Settings
from storage.connection import check_issuer
from storage.database import Database
from storage.errors import StoreError, StoreUnavailable
from storage.frame.personal_data import PERSONAL_DATA
from storage.identity.store import IDENTITY
from storage.problems import DatabaseProblem, ProblemKind
from storage.store import FRAME

Value = TypeVar("Value")


class Application:
    """Everything that one process serves or does, wired but not yet listening."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        master_keys: MasterKeys,
        logger: structlog.typing.FilteringBoundLogger,
        *,
        limits: CallLimits = CallLimits(),  # noqa: B008 - it is frozen
        passwords: Passwords | None = None,
        outbox: Outbox | None = None,
        validator: protovalidate.Validator | None = None,
        now: Clock = now,
    ) -> None:
        """Raises SettingMissing, and ContractError.

        `passwords` hashes by other parameters than those of every deployment, and `outbox` takes the mails. `validator`
        keeps the rules of the contract that it has compiled; None makes one.
        """
        self.database = database
        self._issuer = settings.issuer
        self._claimed = False
        self._claimed_apart: set[Database] = set()
        self.registry = CollectorRegistry()
        self.identity = build_identity(
            database.store(IDENTITY),
            master_keys,
            permissions(),
            now,
            issuer=settings.issuer,
            mail=mail_of(settings.of(IdentitySettings), settings.deployment, outbox),
            anchor_file=settings.of(IdentitySettings).audit_anchor_file,
            logger=logger,
            passwords=passwords,
        )
        """In every process, whatever it serves: it authenticates callers."""
        manifests = {name: manifest(name) for name in MODULES}
        shared = Shared(
            database=database,
            now=now,
            new_id=uuid_utils.compat.uuid7,
            logger=logger,
            registry=self.registry,
            master_keys=master_keys,
            authentication=self.identity,
            trusted_proxies=settings.trusted_proxies,
            event_types=_together(each.event_types for each in manifests.values()),
            modules_of_events={
                kind: name
                for name, each in manifests.items()
                for kind in (*each.event_types, *each.private_event_types)
            },
            takers=_together(each.takers for each in manifests.values()),
            personal_data=cache(lambda: personal_data_of(database, manifests)),
            deployment=settings.deployment,
        )
        self._modules = [manifests[name].build(shared, settings.of_modules[name]) for name in settings.modules]
        apart = [settings.of_modules[name].databases_apart() for name in settings.modules]
        self._here = [module for module, names in zip(self._modules, apart, strict=True) if not names]
        """Those that stand in the main database, on which readiness depends."""
        asking = {name: partial(self._apart_problem, own) for name, own in database.apart.items()}
        self._apart = DatabasesApart(asking, settings.all_databases_apart, logger)
        self.services = [service for module in self._modules for service in module.services]
        self.services_at = {
            port.setting: self._named(port.services) for name in settings.modules for port in manifests[name].own_ports
        }
        """What is answered at modules' own ports, by the settings of their addresses."""
        self.tasks = [
            *(task for module in self._modules for task in module.tasks),
            *retention_tasks(database.store(FRAME), now),
        ]
        self.routes = [route for module in self._modules for route in module.routes]
        """What the modules answer on the HTTP side."""
        going_on = {service.name: service.goes_on for service in self.services if service.goes_on is not None}
        for module, names in zip(self._modules, apart, strict=True):
            if names:
                going_on |= dict.fromkeys((each.name for each in module.services), partial(self._serves_apart, names))
        self.health = Health([each.name for each in self.services], self._unready_reason, logger, going_on=going_on)
        self._add_interceptors(settings, limits, logger, validator or protovalidate.Validator())

    def _named(self, names: Sequence[str]) -> Sequence[Service]:
        by_name = {service.name: service for service in self.services}
        return [by_name[name] for name in names]

    def _add_interceptors(
        self,
        settings: Settings,
        limits: CallLimits,
        logger: structlog.typing.FilteringBoundLogger,
        validator: protovalidate.Validator,
    ) -> None:
        """The interceptors around the calls."""
        contract = [service.descriptor for service in self.services]
        rules = {**self._rules(), **STANDARD_RULES}
        customers = self.identity.built_in.permissions_of([CUSTOMER])
        self.registered_methods = frozenset(
            path for path, rule in rules.items() if rule.permission in {None, *customers}
        )
        """The methods that anyone or any customer may call in large numbers; those that need more than that are limited
        together."""
        self.in_flight = InFlight()
        self.chain = chain(
            rules,
            largest_bodies_of(contract),
            self.identity.access_cache,
            self.in_flight,
            self.registry,
            logger,
            limits,
            validator,
            settings.trusted_proxies,
            customers=customers,
        )

    async def prepare(self) -> None:
        """Makes, opens and seals the keys, and seals other secrets; nothing on a database that is not ready.

        Raises MasterKeyWrong, SealBroken, and StoreUnavailable where that will not pass by itself, as where the
        database belongs to another environment.
        """
        try:
            if await self._migration_problem() is not None:
                return
            await self._claim()
            await self.identity.keys.load()
            for module in self._modules:
                for prepare in module.preparing:
                    await prepare()
        except StoreUnavailable as error:
            if not error.problem.is_transient:
                raise
        except StoreError:
            pass  # readiness reports it, and opens the keys once the database responds

    def _rules(self) -> Mapping[str, AccessRule]:
        """The contract's, and what the services lift of them."""
        known, found = self.identity.built_in.permissions, dict[str, AccessRule]()
        for service in self.services:
            away = service.goes_on is not None
            for path, rule in rules_of([service.descriptor], known).items():
                found[path] = replace(rule, open_to=service.open_to, while_away=away)
        return found

    @property
    def background(self) -> Sequence[Callable[[AlreadyLogged], Coroutine[Any, Any, None]]]:
        """What goes on beside the calls until it is cancelled."""
        own = [self._apart.watch] if self.database.apart else []
        return [*own, *(run for module in self._modules for run in module.background)]

    async def drain(self) -> None:
        """Ends the watches, which would not end by themselves."""
        await asyncio.gather(
            *(feed.close() for module in self._modules for feed in module.feeds),
            *(drain() for module in self._modules for drain in module.draining),
        )

    async def finish(self) -> None:
        """Answers the requests that wait in batches, and ends connections; to be called once no new ones come."""
        for module in self._modules:
            for batcher in module.batchers:
                await batcher.close()
            for close in module.closing:
                await close()
        self.identity.passwords.close()

    async def _unready_reason(self) -> str | None:
        status = await self.database.status()
        problem = migrations.migration_problem(status.revision)
        if problem is not None:
            return problem
        if status.read_only:
            raise StoreUnavailable(DatabaseProblem(ProblemKind.STANDBY, "it is a standby, or set read-only"))
        if self.database.commits_overdue or self._stuck():
            raise StoreUnavailable(
                DatabaseProblem(ProblemKind.UNCONFIRMED, "it answers, but changes are not confirmed in time")
            )
        if not self._claimed:
            await self._claim()
        if not self.identity.keys.loaded:
            try:
                await self.identity.keys.load()
            except MasterKeyWrong:
                return "BACKROOM_MASTER_KEY does not open the keys of this database"
        await self._prepare_late()
        return None

    async def _prepare_late(self) -> None:
        """What could not be done before the first call is done now, for services that go on from then on."""
        for module in self._modules:
            if any(service.goes_on is not None and not service.goes_on() for service in module.services):
                for prepare in module.preparing:
                    await prepare()

    def _stuck(self) -> bool:
        return any(batcher.stuck() for module in self._here for batcher in module.batchers)

    def _serves_apart(self, names: Mapping[str, DatabaseApart]) -> bool:
        return self.health.reason is None and self._apart.is_ready(names)

    async def _apart_problem(self, database: Database) -> str | None:
        """Why nothing can be served from a database of what stands apart; None where it can."""
        status = await database.status()
        problem = migrations.migration_problem(status.revision)
        if problem is not None:
            return problem
        if status.read_only:
            return READ_ONLY
        if database.commits_overdue:
            return UNCONFIRMED
        if database not in self._claimed_apart:
            await self._claim_one(database)
            self._claimed_apart.add(database)
        return None

    async def _claim(self) -> None:
        """Has the database belong to this environment; raises StoreUnavailable where it is another one's."""
        await self._claim_one(self.database)
        self._claimed = True

    async def _claim_one(self, database: Database) -> None:
        async with database.store(FRAME).transaction() as tx:
            check_issuer(await tx.environment.claim(self._issuer), self._issuer)

    async def _migration_problem(self) -> str | None:
        return migrations.migration_problem(await self.database.revision())


def personal_data_of(database: Database, manifests: Mapping[str, Manifest]) -> Mapping[str, PersonalData]:
    """What all modules and the frame do with the data of one person, in the order in which it is erased.

    What copies events comes after the log of events, and that after what events are about.
    """
    built = {name: each.personal_data(database) for name, each in manifests.items() if each.personal_data}
    copying = {name: part for name, part in built.items() if part.copies_events}
    first = {name: part for name, part in built.items() if name not in copying}
    return {**first, "frame": DeclaredPersonalData(database.store(FRAME), PERSONAL_DATA), **copying}


def _together(parts: Iterable[Mapping[str, Value]]) -> Mapping[str, Value]:
    return {name: value for part in parts for name, value in part.items()}
