from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from server.frame.batching import retry_on_contention
from server.frame.caller import PermissionsOf
from server.frame.events import EventType
from server.webhooks.rules import attempts as rules
from server.webhooks.rules import disclosure, scheduling
from server.webhooks.rules.answers import Answer
from server.webhooks.rules.relaying import disabled_event
from server.webhooks.rules.signing import signed_headers
from server.webhooks.seals import SecretSeals
from server.webhooks.service.scheduling import DELIVER, job
from storage.frame.records import NOBODY, ChangeContext
from storage.webhooks.records import Delivery, Endpoint
from storage.webhooks.store import WebhooksStore, WebhooksTransaction


class Sender(Protocol):
    """Sends requests to whom nobody vouches for."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What came of it, within a bounded time; whatever goes wrong on the way is an answer too."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    delivery: Delivery
    endpoint: Endpoint
    secrets: tuple[bytes, ...] = field(repr=False)


class Deliveries:
    """Attempts deliveries, one at a time."""

    def __init__(
        self,
        store: WebhooksStore,
        sender: Sender,
        seals: SecretSeals,
        now: Callable[[], datetime],
        random: Callable[[], float],
        event_types: Mapping[str, EventType],
        permissions_of: PermissionsOf,
    ) -> None:
        """`event_types` say what it takes to be told of each, and `permissions_of` what an account may do now."""
        self._store = store
        self._sender = sender
        self._seals = seals
        self._now = now
        self._random = random
        self._event_types = event_types
        self._permissions_of = permissions_of

    async def attempt(self, delivery_id: UUID) -> None:
        """Makes the attempt that is due, and stores what came of it; nothing where none is due.

        No connection to the database is held meanwhile. One that ends between the answer and its being stored is made
        again: whoever receives it tells it by its id. What its endpoint may not be told, by what the account may do
        now that answers for it, is given up without an attempt.
        """
        began = self._now()
        loaded = await self._load(delivery_id, began)
        if loaded is None:
            return
        if why := await self._why_withheld(loaded):
            await retry_on_contention(lambda: self._withhold(loaded.delivery, why))
            return
        body = loaded.delivery.body.encode()
        headers = signed_headers(delivery_id, body, loaded.secrets, began)
        answer = await self._sender.post(loaded.endpoint.url, headers, body)
        attempt = rules.Attempt(loaded.delivery, began, answer)
        await retry_on_contention(lambda: self._store_attempt(attempt))

    async def _why_withheld(self, loaded: _Loaded) -> str:
        granted_by = loaded.endpoint.granted_by
        if granted_by is None:
            return disclosure.UNKNOWN
        permissions = await self._permissions_of(granted_by)
        return disclosure.why_withheld(permissions, loaded.delivery.event_type, self._event_types)

    async def _withhold(self, loaded: Delivery, why: str) -> None:
        async with self._store.transaction() as tx:
            endpoint = await tx.endpoints.lock(loaded.endpoint_id)
            delivery = await tx.deliveries.find(loaded.id)
            if endpoint is None or delivery is None or delivery.next_attempt_time != loaded.next_attempt_time:
                return
            await tx.deliveries.change(rules.withheld(delivery, why))
            await self._schedule_next(tx, endpoint, self._now())

    async def _load(self, delivery_id: UUID, now: datetime) -> _Loaded | None:
        async with self._store.reading() as reading:
            delivery = await reading.deliveries.find(delivery_id)
            if delivery is None or not rules.is_due(delivery, now):
                return None
            endpoint = await reading.endpoints.find(delivery.endpoint_id)
            if endpoint is None or not endpoint.enabled:
                return None
            secrets = await reading.endpoints.live_secrets(endpoint.id, now)
        return _Loaded(delivery, endpoint, tuple(map(self._seals.opened, secrets)))

    async def _store_attempt(self, attempt: rules.Attempt) -> None:
        async with self._store.transaction() as tx:
            endpoint = await tx.endpoints.lock(attempt.delivery.endpoint_id)
            delivery = await tx.deliveries.find(attempt.delivery.id)
            if endpoint is None or delivery is None or not rules.counts(attempt, delivery):
                return
            now = self._now()
            after = rules.endpoint_after(attempt, endpoint, now)
            await tx.deliveries.change(rules.delivery_after(attempt, delivery, after, now, self._random()))
            if after is not endpoint:
                await tx.endpoints.change(after)
            if endpoint.enabled and not after.enabled:
                await tx.deliveries.give_up(endpoint.id, rules.GIVEN_UP)
                await tx.events.publish([disabled_event(after, now)])
                await tx.audit.record([ChangeContext(NOBODY, DELIVER, now).entry(f"endpoint/{endpoint.id}")])
            await self._schedule_next(tx, after, now)

    async def _schedule_next(self, tx: WebhooksTransaction, endpoint: Endpoint, now: datetime) -> None:
        """Gives the turn to the endpoint's next delivery; one that fails waits until it is given one."""
        if not endpoint.enabled or scheduling.is_failing(endpoint, now):
            return
        due = await tx.deliveries.list_due([endpoint.id], now, each=scheduling.SLOTS)
        if due:
            queued = await tx.deliveries.list_queued([endpoint.id], now)
            await tx.jobs.defer(
                [job(scheduled) for scheduled in scheduling.next_deliveries([endpoint], due, queued, now, self._random)]
            )
