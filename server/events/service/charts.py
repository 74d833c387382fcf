from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from server.events.errors import MeterNotFound
from server.events.rules.asking import MeterQuery, SeriesQuery
from server.events.rules.chart_links import ChartLink, holds_good, moved
from server.events.rules.series import Series
from server.events.service.counting import Counting
from server.events.service.meter_answers import CHART_LINK
from server.frame.caller import PermissionsOf
from server.frame.errors import FieldInvalid, TokenInvalid
from server.frame.repeating import once
from storage.events.measures import Measure
from storage.events.store import EventsConfigurationStore, EventsConfigurationTransaction
from storage.frame.records import ChangeContext


class Charts:
    """Charts that are seen by a link, without an account."""

    def __init__(
        self,
        configuration: EventsConfigurationStore,
        counting: Counting,
        permissions_of: PermissionsOf,
        now: Callable[[], datetime],
    ) -> None:
        self._configuration = configuration
        self._counting = counting
        self._permissions_of = permissions_of
        self._now = now

    async def link(
        self, link: ChartLink, query: SeriesQuery | MeterQuery, valid_days: int, context: ChangeContext
    ) -> ChartLink:
        """The link with its end; raises FieldInvalid, MeterNotFound."""
        if isinstance(query, SeriesQuery):
            self._counting.checked(query)
            of = f"event_type/{query.measure.event_type}"
        else:
            await self._counting.checked_meter(query)
            of = f"meter/{query.name}"

        async def act(_: EventsConfigurationTransaction) -> ChartLink:
            return replace(link, until=int((self._now() + timedelta(days=valid_days)).timestamp()))

        return await once(self._configuration, context, CHART_LINK, act, of)

    async def ensure_good(self, link: ChartLink) -> None:
        """Raises TokenInvalid where a link holds good no longer."""
        if not holds_good(link, await self._permissions_of(link.account_id), self._now()):
            raise TokenInvalid

    async def shown(
        self, link: ChartLink, query: SeriesQuery | MeterQuery
    ) -> tuple[Measure, SeriesQuery | MeterQuery, list[Series]]:
        """What a good link shows now; raises TokenInvalid where that is there no longer, QueryTooLarge."""
        if link.follows:
            query = replace(query, period=moved(query.period, self._now()))
        try:
            if isinstance(query, SeriesQuery):
                return query.measure, query, list(await self._counting.time_series(query))
            meter, series = await self._counting.meter_series(query)
            return meter.measure, query, list(series)
        except (MeterNotFound, FieldInvalid):  # the meter is another one now, or the zone is gone
            raise TokenInvalid from None
