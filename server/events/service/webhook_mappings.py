from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from server.events.errors import TooManyWebhookMappings, WebhookMappingNotFound, WebhookSourceTaken
from server.events.rules.webhook_mappings import MAX_MAPPINGS, mapping_problems
from server.frame.answers import DONE, AnswerKind
from server.frame.editing import etag_of
from server.frame.errors import EtagMismatch, FieldInvalid, FieldViolation
from server.frame.repeating import once
from storage.events.records import WebhookMapping
from storage.events.store import EventsConfigurationStore, EventsConfigurationTransaction
from storage.frame.records import ChangeContext

WEBHOOK_MAPPING = AnswerKind("events.webhook_mapping", WebhookMapping)


class WebhookMappings:
    """What the webhooks of each source become, as it is declared."""

    def __init__(self, store: EventsConfigurationStore, takers: Mapping[str, str], now: Callable[[], datetime]) -> None:
        """`takers` has the sources whose webhooks another module takes."""
        self._store = store
        self._takers = takers
        self._now = now

    async def put(self, mapping: WebhookMapping, etag: str, context: ChangeContext) -> WebhookMapping:
        """Declares it in the place of what was declared of its source.

        Raises FieldInvalid, WebhookSourceTaken, EtagMismatch, TooManyWebhookMappings.
        """
        problems = [FieldViolation(f"webhook_mapping.{field}", text) for field, text in mapping_problems(mapping)]
        if problems:
            raise FieldInvalid(fields=problems)
        source = mapping.webhook_source
        if source in self._takers:
            raise WebhookSourceTaken(webhook_source=source)

        async def act(tx: EventsConfigurationTransaction) -> WebhookMapping:
            before, now = await tx.webhook_mappings.lock(source), self._now()
            _check(before, etag)
            if before is None and await tx.webhook_mappings.count() >= MAX_MAPPINGS:
                raise TooManyWebhookMappings(limit=str(MAX_MAPPINGS))
            made = before.create_time if before else now
            version = before.version + 1 if before else 1
            after = replace(mapping, version=version, create_time=made, update_time=now)
            await tx.webhook_mappings.put(after)
            return after

        return await once(self._store, context, WEBHOOK_MAPPING, act, f"webhook_mapping/{source}")

    async def delete(self, webhook_source: str, etag: str, context: ChangeContext) -> None:
        """Raises WebhookMappingNotFound, EtagMismatch."""

        async def act(tx: EventsConfigurationTransaction) -> None:
            before = await tx.webhook_mappings.lock(webhook_source)
            if before is None:
                raise WebhookMappingNotFound
            _check(before, etag)
            await tx.webhook_mappings.remove(webhook_source)

        await once(self._store, context, DONE, act, f"webhook_mapping/{webhook_source}")

    async def list_by_source(self, *, after: str | None, limit: int) -> Sequence[WebhookMapping]:
        """By their webhook sources, in ASCII order, starting behind one."""
        async with self._store.reading() as reading:
            return await reading.webhook_mappings.list_by_source(after=after, limit=limit)


def _check(before: WebhookMapping | None, etag: str) -> None:
    """Raises EtagMismatch where the caller has read another version."""
    now = etag_of(before) if before else ""
    if etag and etag != now:
        raise EtagMismatch(etag=now)
