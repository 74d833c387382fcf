from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from storage.base import Reader, Records, Repository
from storage.events.records import WebhookMapping
from storage.events.tables import webhook_mappings

_MAPPINGS = Records(WebhookMapping)
_ADDING = 0x626B726D_00000026
"""The advisory lock of whoever adds a mapping: there may be so many."""


class WebhookMappingReader(Reader):
    """What the webhooks of each source become."""

    async def list_all(self) -> Sequence[WebhookMapping]:
        """By their webhook sources, in ASCII order."""
        return _MAPPINGS.all(
            await self._connection.execute(select(webhook_mappings).order_by(webhook_mappings.c.webhook_source))
        )

    async def list_by_source(self, *, after: str | None, limit: int) -> Sequence[WebhookMapping]:
        """A page of them, starting behind a source."""
        statement = select(webhook_mappings).order_by(webhook_mappings.c.webhook_source).limit(limit)
        if after is not None:
            statement = statement.where(webhook_mappings.c.webhook_source > after)
        return _MAPPINGS.all(await self._connection.execute(statement))


class WebhookMappingRepository(WebhookMappingReader, Repository):
    """The same, to be changed."""

    async def lock(self, webhook_source: str) -> WebhookMapping | None:
        """That of a source, locked until the transaction ends; nobody else adds or changes any meanwhile."""
        await self._connection.execute(select(func.pg_advisory_xact_lock(_ADDING)))
        mine = webhook_mappings.c.webhook_source == webhook_source
        statement = select(webhook_mappings).where(mine).with_for_update()
        return _MAPPINGS.first(await self._connection.execute(statement))

    async def count(self) -> int:
        return int(await self._connection.scalar(select(func.count()).select_from(webhook_mappings)) or 0)

    async def put(self, mapping: WebhookMapping) -> None:
        """Stores it in the place of what is there of its source."""
        values = asdict(mapping)
        adding = insert(webhook_mappings).values(values)
        await self._connection.execute(adding.on_conflict_do_update(index_elements=["webhook_source"], set_=values))

    async def remove(self, webhook_source: str) -> None:
        mine = webhook_mappings.c.webhook_source == webhook_source
        await self._connection.execute(delete(webhook_mappings).where(mine))
