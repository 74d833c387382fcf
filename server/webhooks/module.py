"""webhooks, put together: what comes in, and what goes out."""

from collections.abc import Mapping, Sequence
from random import random
from secrets import token_bytes

from starlette.routing import Route

from backroom.webhooks.v1 import webhook_service_pb2, webhook_service_pb2_grpc
from server.frame.batching import Batcher
from server.frame.events import EventType
from server.frame.module import Manifest, Module, Service, Shared
from server.frame.personal_data import DeclaredPersonalData
from server.webhooks.jobs import inbox_tasks, outbox_tasks
from server.webhooks.network import Resolver
from server.webhooks.permissions import MANAGE, PERMISSIONS
from server.webhooks.receiver import WebhookReceiver
from server.webhooks.rules.relaying import OWN_TYPES, event_type
from server.webhooks.rules.signing import SECRET_BYTES
from server.webhooks.rules.sources import Source
from server.webhooks.seals import SecretSeals
from server.webhooks.sender import Sender
from server.webhooks.service import Deliveries, DeliveryScheduler, Endpoints, Inbox, Purging, Relay, Sealing
from server.webhooks.servicer import WebhookServicer
from server.webhooks.settings import WebhooksSettings
from storage.frame.records import ReceivedEvent
from storage.webhooks.personal_data import PERSONAL_DATA
from storage.webhooks.store import WEBHOOKS

_REPUBLISHED = "A webhook came in from {name}, and is passed on as it came."
_HEAVIEST_BATCH = 4 * 1024 * 1024
"""In bytes."""
_ROW = 1024
"""In bytes, about: what an event takes in addition to its body."""


def build(shared: Shared, settings: WebhooksSettings) -> Module:
    store, now = shared.database.store(WEBHOOKS), shared.now
    sources, allowed = caller_networks(settings), settings.webhook_allowed_networks
    inbox = Inbox(store, sources, shared.takers, now)
    receiving = Batcher[ReceivedEvent, bool](
        inbox.receive,
        weigh=lambda webhook: _ROW + len(webhook.body),
        largest=_HEAVIEST_BATCH,
        longest_seconds=shared.database.limits.answer,
    )
    receiver = WebhookReceiver(inbox, receiving.submit, shared.registry, shared.logger)
    resolver, seals = Resolver(), SecretSeals(shared.master_keys)
    sender = Sender(resolver, allowed)
    known, permissions_of = event_types_of(shared, sources), shared.authentication.permissions_of
    endpoints = Endpoints(store, known, allowed, seals, now, shared.new_id, lambda: token_bytes(SECRET_BYTES))
    relay, turns = Relay(store, now, shared.new_id), DeliveryScheduler(store, now, random)
    deliveries = Deliveries(store, sender, seals, now, random, known, permissions_of)
    sealing = Sealing(store, seals)
    return Module(
        services=(Service(webhook_service_pb2, webhook_service_pb2_grpc, WebhookServicer(endpoints)),),
        tasks=(*inbox_tasks(inbox), *outbox_tasks(relay, turns, deliveries, Purging(store, now), sealing)),
        batchers=(receiving,),
        # Whatever the rest of the path is: the receiver also answers for names that no source can have.
        routes=(Route("/webhooks/{source:path}", receiver),),
        preparing=(sealing.seal,),
        closing=(sender.close, resolver.close),
    )


def caller_networks(settings: WebhooksSettings) -> Sequence[Source]:
    """Who may send webhooks: those that are named, and the sandbox by the secret that it shares."""
    secret, named = settings.sandbox_webhook_secret, settings.webhook_sources
    if not secret or any(source.name == "sandbox" for source in named):
        return named
    return (*named, Source("sandbox", "standard", (secret,)))


def event_types_of(shared: Shared, sources: Sequence[Source]) -> Mapping[str, EventType]:
    """The types of event that endpoints can subscribe to, from all modules; what a source sends is passed on where no
    module takes it."""
    republished = [source.name for source in sources if source.name not in shared.takers]
    return {
        **shared.event_types,
        **{event_type(name): EventType(_REPUBLISHED.format(name=name), (MANAGE,)) for name in republished},
    }


MANIFEST = Manifest(
    name="webhooks",
    build=build,
    permissions=PERMISSIONS,
    event_types=OWN_TYPES,
    personal_data=lambda database: DeclaredPersonalData(database.store(WEBHOOKS), PERSONAL_DATA),
)
