from collections.abc import Mapping, Sequence

import structlog
from prometheus_client import CollectorRegistry
from starlette.routing import Route

from server.frame.batching import Batcher
from server.http.webhooks import WebhookDoor
from server.webhooks.jobs import inbox_tasks
from server.webhooks.rules.sources import Source
from server.webhooks.service import Inbox
from server.wiring.parts import Clock, Part
from storage.database import Database
from storage.webhooks.records import Received

_TAKEN_BY: Mapping[str, str] = dict.fromkeys(("sandbox", "stripe"), "commerce.take_payment_event")
"""Payment providers, by their names in commerce; what other sources tell is republished."""

_HEAVIEST_BATCH = 4 * 1024 * 1024
"""In bytes."""
_ROW = 1024
"""In bytes, about: what an event takes beside its body."""


def webhooks_part(
    database: Database,
    sources: Sequence[Source],
    registry: CollectorRegistry,
    logger: structlog.typing.FilteringBoundLogger,
    now: Clock,
) -> Part:
    inbox = Inbox(database, sources, _TAKEN_BY, now)
    receiving = Batcher[Received, bool](inbox.receive, weigh=lambda ask: _ROW + len(ask.body), largest=_HEAVIEST_BATCH)
    door = WebhookDoor(inbox, receiving.submit, registry, logger)
    # Whatever the rest of the path is: the door answers for what no source can be called, too.
    return Part((), inbox_tasks(inbox), (receiving,), (Route("/webhooks/{source:path}", door),))
