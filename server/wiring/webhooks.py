from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import random
from secrets import token_bytes

import structlog
from prometheus_client import CollectorRegistry
from starlette.routing import Route

from backroom.webhooks.v1 import webhook_service_pb2, webhook_service_pb2_grpc
from server.commerce.rules.events import EVENT_TYPES
from server.commerce.service.deferring import TAKE_EVENT
from server.frame.addresses import Network
from server.frame.batching import Batcher
from server.frame.caller import PermissionsOf
from server.frame.events import EventType
from server.frame.sealing import MasterKeys
from server.identity.rules import auditing
from server.webhooks.jobs import inbox_tasks, outbox_tasks
from server.webhooks.network import Resolver
from server.webhooks.receiver import WebhookDoor
from server.webhooks.rules.relaying import OWN_TYPES, event_type
from server.webhooks.rules.signing import SECRET_BYTES
from server.webhooks.rules.sources import Source
from server.webhooks.rules.telling import MANAGE
from server.webhooks.seals import SecretSeals
from server.webhooks.sender import Sender
from server.webhooks.service import Deliveries, Endpoints, Inbox, Purging, Relay, Sealing, Turns
from server.webhooks.servicer import WebhookServicer
from server.wiring.parts import Clock, NewId, Part, Service
from storage.commerce.records import PAYMENT_SOURCES
from storage.database import Database
from storage.frame.records import ReceivedEvent
from storage.webhooks.store import WEBHOOKS, WebhooksStore

_TAKEN_BY: Mapping[str, str] = dict.fromkeys(PAYMENT_SOURCES, TAKE_EVENT)
"""Payment providers, by their names in commerce; what other sources tell is republished."""

_TOLD_ON = "A webhook came in from {name}, and is told on as it came."
_HEAVIEST_BATCH = 4 * 1024 * 1024
"""In bytes."""
_ROW = 1024
"""In bytes, about: what an event takes beside its body."""


def webhooks_part(
    database: Database,
    sources: Sequence[Source],
    allowed: Sequence[Network],
    master_keys: MasterKeys,
    registry: CollectorRegistry,
    logger: structlog.typing.FilteringBoundLogger,
    now: Clock,
    new_id: NewId,
    permissions_of: PermissionsOf,
) -> Part:
    store = database.store(WEBHOOKS)
    inbox = Inbox(store, sources, _TAKEN_BY, now)
    receiving = Batcher[ReceivedEvent, bool](
        inbox.receive,
        weigh=lambda ask: _ROW + len(ask.body),
        largest=_HEAVIEST_BATCH,
        longest_seconds=database.limits.answer,
    )
    door = WebhookDoor(inbox, receiving.submit, registry, logger)
    # Whatever the rest of the path is: the door answers for what no source can be called, too.
    routes = (Route("/webhooks/{source:path}", door),)
    out = _outgoing(store, _event_types(sources), allowed, SecretSeals(master_keys), now, new_id, permissions_of)
    return replace(out, tasks=(*inbox_tasks(inbox), *out.tasks), batchers=(receiving,), routes=routes)


def _outgoing(
    store: WebhooksStore,
    event_types: Mapping[str, EventType],
    allowed: Sequence[Network],
    seals: SecretSeals,
    now: Clock,
    new_id: NewId,
    permissions_of: PermissionsOf,
) -> Part:
    resolver = Resolver()
    sender = Sender(resolver, allowed)
    endpoints = Endpoints(store, event_types, allowed, seals, now, new_id, lambda: token_bytes(SECRET_BYTES))
    relay = Relay(store, now, new_id)
    turns = Turns(store, now, random)
    sealing = Sealing(store, seals)
    deliveries = Deliveries(store, sender, seals, now, random, event_types, permissions_of)
    service = Service(
        webhook_service_pb2.DESCRIPTOR.services_by_name["WebhookService"],
        webhook_service_pb2_grpc.add_WebhookServiceServicer_to_server,
        WebhookServicer(endpoints),
    )
    tasks = outbox_tasks(relay, turns, deliveries, Purging(store, now), sealing)
    return Part((service,), tasks, preparing=(sealing.seal,), closing=(sender.close, resolver.close))


def _event_types(sources: Sequence[Source]) -> Mapping[str, EventType]:
    """What endpoints can ask for, from all modules; what a source tells is told on where no other task takes it."""
    told_on = [source.name for source in sources if source.name not in _TAKEN_BY]
    return {
        **EVENT_TYPES,
        **auditing.EVENT_TYPES,
        **OWN_TYPES,
        **{event_type(name): EventType(_TOLD_ON.format(name=name), (MANAGE,)) for name in told_on},
    }
