from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Table, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from storage.base import Reader, Records, Repository, column_names, insert_json, json_parameter, values_getter
from storage.flags.records import Served, Usage, UsagePeriod
from storage.flags.tables import usage_days, usage_minutes

_TABLES: Mapping[UsagePeriod, Table] = {UsagePeriod.MINUTE: usage_minutes, UsagePeriod.DAY: usage_days}
_COLUMNS = column_names(usage_minutes)
_SERVED = Records(Served)
_NEW = values_getter(_COLUMNS)
_KEY = ("flag_set_id", "flag_key", "start_time", "variant")


class UsageReader(Reader):
    """How often each variant was served."""

    async def of_flag(
        self, period: UsagePeriod, flag_set_id: str, flag_key: str, since: datetime, until: datetime
    ) -> Sequence[Served]:
        """The counts of a flag in the periods that begin from one time on and before another, by time and variant."""
        table = _TABLES[period]
        mine = (table.c.flag_set_id == flag_set_id) & (table.c.flag_key == flag_key)
        within = (table.c.start_time >= since) & (table.c.start_time < until)
        statement = select(table).where(mine, within).order_by(table.c.start_time, table.c.variant)
        return _SERVED.all(await self._connection.execute(statement))

    async def of_flags(self, flag_set_id: str, keys: Collection[str], since: datetime) -> Mapping[str, Usage]:
        """The last day on which each of these flags was served, and the variants served since a time."""
        days = usage_days.c
        recent = days.start_time >= since
        variants = func.array_agg(aggregate_order_by(days.variant.distinct(), days.variant)).filter(recent)
        last_day = func.max(days.start_time)
        statement = select(days.flag_key, last_day.label("last_day"), variants.label("variants"))
        mine = (days.flag_set_id == flag_set_id) & days.flag_key.in_(list(keys))
        found = await self._connection.execute(statement.where(mine).group_by(days.flag_key))
        return {row.flag_key: Usage(row.flag_key, row.last_day, tuple(row.variants or ())) for row in found}


class UsageRepository(UsageReader, Repository):
    """Counts what was served."""

    async def count(self, period: UsagePeriod, served: Sequence[Served]) -> None:
        """Adds to the counts of a period; `served` has one entry for each flag, variant and start.

        In the order of the keys, so that servers that count at the same time do not deadlock.
        """
        if not served:
            return
        table = _TABLES[period]
        ordered = sorted(served, key=lambda each: (each.flag_set_id, each.flag_key, each.start_time, each.variant))
        statement = insert_json(table, *_COLUMNS)
        adding = statement.on_conflict_do_update(
            index_elements=list(_KEY), set_={"count": table.c.count + statement.excluded.count}
        )
        await self._connection.execute(adding, json_parameter(_COLUMNS, map(_NEW, ordered)))

    async def purge(self, period: UsagePeriod, before: datetime, limit: int) -> int:
        """Deletes up to `limit` counts from before a time, and returns how many."""
        return await self._delete_before(_TABLES[period].c.start_time, before, limit)
