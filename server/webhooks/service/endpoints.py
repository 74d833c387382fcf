from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from server.frame.addresses import Network
from server.frame.answers import DONE
from server.frame.caller import Caller
from server.frame.editing import Edit
from server.frame.events import EventType
from server.frame.repeating import once, once_in
from server.webhooks import errors
from server.webhooks.rules import disclosure
from server.webhooks.rules import endpoints as rules
from server.webhooks.rules.attempts import GIVEN_UP
from server.webhooks.rules.relaying import MAX_PAGE_BYTES, sample_delivery
from server.webhooks.rules.urls import check_url
from server.webhooks.seals import SecretSeals
from server.webhooks.service.answers import DELIVERY, ENDPOINT, ROTATION
from storage.frame.records import ChangeContext
from storage.webhooks.records import Delivery, DeliveryFilter, DeliveryState, Endpoint
from storage.webhooks.store import WebhooksStore, WebhooksTransaction


class Endpoints:
    """Where events are sent to, and what was sent there."""

    def __init__(
        self,
        store: WebhooksStore,
        event_types: Mapping[str, EventType],
        allowed: Sequence[Network],
        seals: SecretSeals,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        new_secret: Callable[[], bytes],
    ) -> None:
        """`event_types` are those that may be asked for, with what it takes to be told of each.

        `allowed` are the networks that may be sent to although they are not of the public internet.
        """
        self._store = store
        self._event_types = event_types
        self._allowed = allowed
        self._seals = seals
        self._now = now
        self._new_id = new_id
        self._new_secret = new_secret

    def list_types(self, *, after: str, limit: int) -> Sequence[tuple[str, EventType]]:
        """Up to so many behind a name, each with its name, by name."""
        return [(name, self._event_types[name]) for name in sorted(self._event_types) if name > after][:limit]

    def may_read(self, caller: Caller, event_type: str) -> bool:
        """Whether a caller may read what events of a type are about."""
        return disclosure.may_read(caller.permissions, event_type, self._event_types)

    async def create(self, draft: rules.EndpointDraft, context: ChangeContext) -> tuple[Endpoint, bytes]:
        """An enabled endpoint and its secret.

        Raises UrlForbidden, EventTypeUnknown, PermissionMissing, TooManyEndpoints.
        The answer that is remembered is the endpoint without its secret. A repeated call reads that from where secrets
        are kept, and raises EndpointNotFound where it was deleted since.
        """

        async def act(tx: WebhooksTransaction) -> Endpoint:
            check_url(draft.url, self._allowed)
            rules.check_types(draft.event_types, self._event_types)
            disclosure.check_readable(draft.caller, draft.event_types, self._event_types)
            rules.check_count(await tx.endpoints.count())
            endpoint = draft.as_endpoint(self._new_id(), self._now())
            await tx.endpoints.add(endpoint)
            first = self._seals.new(endpoint.id, 1, self._new_secret(), endpoint.create_time)
            await tx.endpoints.add_secret(first)
            return self._seals.hidden(endpoint)

        async with self._store.transaction() as tx:
            kept = await once_in(tx, context, ENDPOINT, act, lambda endpoint: f"endpoint/{endpoint.id}")
            return self._seals.shown(kept), await self._secret(tx, kept.id, 1)

    async def get(self, endpoint_id: UUID) -> Endpoint:
        """Raises EndpointNotFound."""
        async with self._store.reading() as reading:
            return _existing(await reading.endpoints.find(endpoint_id), endpoint_id)

    async def list_latest(self, *, before: tuple[datetime, UUID] | None, limit: int) -> Sequence[Endpoint]:
        async with self._store.reading() as reading:
            return await reading.endpoints.list_latest(before=before, limit=limit)

    async def edit(self, edit: Edit[UUID], caller: Caller, context: ChangeContext) -> Endpoint:
        """Changes the fields that the edit names; what is still to be sent to an endpoint that is disabled fails.

        What decides anew what it is told takes the permissions to read that, whichever of its types are new.
        Raises UrlForbidden, EventTypeUnknown, EndpointNotFound, EtagMismatch, PermissionMissing.
        """

        async def act(tx: WebhooksTransaction) -> Endpoint:
            if "url" in edit.values:
                check_url(edit.values["url"], self._allowed)
            rules.check_types(edit.values.get("event_types", ()), self._event_types)
            endpoint = _existing(await tx.endpoints.lock(edit.key), edit.key)
            edited = rules.edited(endpoint, edit, caller, self._now())
            if rules.changes_grant(endpoint, edit.values):
                disclosure.check_readable(caller, edited.event_types, self._event_types)
            if edited is not endpoint:
                await tx.endpoints.change(edited)
            if endpoint.enabled and not edited.enabled:
                await tx.deliveries.give_up(endpoint.id, GIVEN_UP)
            return self._seals.hidden(edited)

        return self._seals.shown(await once(self._store, context, ENDPOINT, act, f"endpoint/{edit.key}"))

    async def delete(self, endpoint_id: UUID, context: ChangeContext) -> None:
        """Deletes an endpoint with its secrets and deliveries; raises EndpointNotFound."""

        async def act(tx: WebhooksTransaction) -> None:
            if not await tx.endpoints.delete(endpoint_id):
                raise errors.EndpointNotFound(endpoint_id=str(endpoint_id))

        await once(self._store, context, DONE, act, f"endpoint/{endpoint_id}")

    async def rotate(self, caller: Caller, endpoint_id: UUID, context: ChangeContext) -> tuple[bytes, datetime]:
        """A new secret, and until when requests are signed with the one before too.

        Whoever has it can sign as we do, and so it takes what it would take to read what is signed.
        Raises EndpointNotFound, PermissionMissing.
        """

        async def act(tx: WebhooksTransaction) -> rules.Rotation:
            endpoint = _existing(await tx.endpoints.lock(endpoint_id), endpoint_id)
            if endpoint.granted_by != caller.account_id:
                event_types = endpoint.event_types or sorted(self._event_types)
                disclosure.check_readable(caller, event_types, self._event_types)
            now = self._now()
            end_time = now + rules.OVERLAP
            previous = await tx.endpoints.end_secret(endpoint_id, end_time)
            rotation = rules.Rotation(endpoint_id, previous + 1, end_time)
            secret = self._seals.new(endpoint_id, rotation.generation, self._new_secret(), now)
            await tx.endpoints.add_secret(secret)
            return rotation

        async with self._store.transaction() as tx:
            rotation = await once_in(tx, context, ROTATION, act, f"endpoint/{endpoint_id}")
            return await self._secret(tx, endpoint_id, rotation.generation), rotation.previous_end_time

    async def send_test(self, endpoint_id: UUID, context: ChangeContext) -> Delivery:
        """Raises EndpointNotFound, EndpointDisabled."""

        async def act(tx: WebhooksTransaction) -> Delivery:
            endpoint = _enabled(await tx.endpoints.lock(endpoint_id), endpoint_id)
            delivery = sample_delivery(endpoint, self._new_id(), self._now())
            await tx.deliveries.add([delivery])
            return delivery

        return await self._once(context, act)

    async def list_deliveries(
        self, wanted: DeliveryFilter, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Delivery]:
        """Up to so many, and fewer where their bodies are large: those that fit into one answer, and one more."""
        async with self._store.reading() as reading:
            return await reading.deliveries.list_latest(wanted, before=before, limit=limit, size=MAX_PAGE_BYTES)

    async def redeliver(self, delivery_id: UUID, context: ChangeContext) -> Delivery:
        """Makes a delivery due, whatever became of it; raises DeliveryNotFound, EndpointDisabled.

        An attempt that is under way is followed by another one.
        """

        async def act(tx: WebhooksTransaction) -> Delivery:
            known = _delivery(await tx.deliveries.find(delivery_id), delivery_id)
            endpoint = await tx.endpoints.lock(known.endpoint_id)
            if endpoint is None:  # deleted in between, and the delivery with it
                raise errors.DeliveryNotFound(delivery_id=str(delivery_id))
            _enabled(endpoint, endpoint.id)
            delivery = _delivery(await tx.deliveries.find(delivery_id), delivery_id)
            again = replace(delivery, state=DeliveryState.PENDING, next_attempt_time=self._now())
            await tx.deliveries.change(again)
            return again

        return await self._once(context, act)

    async def _once(
        self, context: ChangeContext, act: Callable[[WebhooksTransaction], Awaitable[Delivery]]
    ) -> Delivery:
        """As `once` has it, but what is remembered holds no body: that stands with the delivery, and never changes."""

        async def bodiless(tx: WebhooksTransaction) -> Delivery:
            return replace(await act(tx), body="")

        async with self._store.transaction() as tx:
            kept = await once_in(tx, context, DELIVERY, bodiless, lambda delivery: f"endpoint/{delivery.endpoint_id}")
            return replace(kept, body=_delivery(await tx.deliveries.find(kept.id), kept.id).body)

    async def _secret(self, tx: WebhooksTransaction, endpoint_id: UUID, generation: int) -> bytes:
        found = await tx.endpoints.find_secret(endpoint_id, generation)
        if found is None:
            raise errors.EndpointNotFound(endpoint_id=str(endpoint_id))
        return self._seals.opened(found)


def _existing(endpoint: Endpoint | None, endpoint_id: UUID) -> Endpoint:
    if endpoint is None:
        raise errors.EndpointNotFound(endpoint_id=str(endpoint_id))
    return endpoint


def _enabled(endpoint: Endpoint | None, endpoint_id: UUID) -> Endpoint:
    known = _existing(endpoint, endpoint_id)
    if not known.enabled:
        raise errors.EndpointDisabled(endpoint_id=str(endpoint_id))
    return known


def _delivery(delivery: Delivery | None, delivery_id: UUID) -> Delivery:
    if delivery is None:
        raise errors.DeliveryNotFound(delivery_id=str(delivery_id))
    return delivery
