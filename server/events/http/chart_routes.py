"""GET /events/chart.svg and /events/series.csv: the answer to one question by a signed link, drawn and as CSV."""

import asyncio
import base64
import hashlib
from collections.abc import Callable
from time import monotonic
from uuid import UUID

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from backroom.events.v1 import event_queries_pb2 as queries
from server.events.drawing import Chart, csv_of_chart, svg_of
from server.events.drawing.svg import CONTENT_TYPE as SVG
from server.events.drawing.svg import STYLE
from server.events.errors import QueryTooLarge
from server.events.messages.charts import chart, query_of, title_of
from server.events.messages.queries import GRANULARITIES, time_series
from server.events.rules.chart_links import MAX_CHARACTERS, ChartKind, ChartLink
from server.events.service.charts import Charts
from server.frame.csv_text import CONTENT_TYPE as CSV
from server.frame.entity_tags import etag_of
from server.frame.errors import FieldInvalid, RateLimited, TokenInvalid
from server.frame.http import Handler, PublicAnswers, unless_known
from server.frame.interceptors.rate_limit import Buckets, Rate
from server.frame.sealing import MasterKeys
from server.frame.signed_links import SignedLinks
from server.frame.wire import timestamp

PICTURE, TABLE = "/events/chart.svg", "/events/series.csv"
_PURPOSE = "events.chart"
_RATE = Rate(per_second=1, burst=20)
"""Of one link."""
_AT_ONCE = 2
"""How many are counted and drawn at a time: a large one takes a connection for seconds."""
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_SECURE = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; sandbox",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "private, no-cache",
}


class ChartRoutes:
    """Answers whoever has a link to a chart; anybody else, and by any other link, alike."""

    def __init__(self, charts: Charts, master_keys: MasterKeys, logger: structlog.typing.FilteringBoundLogger) -> None:
        self._charts = charts
        self._links = SignedLinks(master_keys, _PURPOSE)
        self._answers = PublicAnswers(
            "events",
            logger,
            hidden=(TokenInvalid,),
            nothing_here="No chart is here: ask for a new link.\n",
            headers=_SECURE,
        )
        self._buckets = Buckets(_RATE, monotonic)
        self._drawing = asyncio.Semaphore(_AT_ONCE)

    def path_of(self, link: ChartLink) -> str:
        """A link as it is given out; raises FieldInvalid where that would be too long."""
        content = [link.kind.value, link.query, link.title, link.account_id.hex, link.until, int(link.follows)]
        path = f"{PICTURE}?link={self._links.written(content)}"
        if len(path) > MAX_CHARACTERS:
            said = (
                f"makes a link of {len(path):,} characters, and at most {MAX_CHARACTERS:,} are possible: make a meter"
            )
            raise FieldInvalid.of("query", said)
        return path

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(PICTURE, self._answers.around(self._answer(svg_of, SVG)), methods=["GET"]),
            Route(TABLE, self._answers.around(self._answer(csv_of_chart, CSV)), methods=["GET"]),
        )

    def _answer(self, drawn: Callable[[Chart], bytes], content_type: str) -> Handler:
        async def answer(request: Request) -> Response:
            """Raises TokenInvalid, RateLimited, StoreError."""
            shown = request.query_params.get("link", "")
            link = self._read(shown)
            if wait := self._buckets.take(shown):
                raise RateLimited(retry_after=wait)
            await self._charts.ensure_good(link)
            async with self._drawing:
                try:
                    content = await asyncio.to_thread(drawn, await self._chart(link))
                except QueryTooLarge as refusal:
                    return PlainTextResponse(f"{refusal}\n", 503)
            etag = etag_of(hashlib.sha256(content).hexdigest())
            headers = {"etag": etag, "content-type": content_type}
            return unless_known(request, etag) or Response(content, 200, headers)

        return answer

    def _read(self, shown: str) -> ChartLink:
        kind, query, title, account_id, until, follows = self._links.read(shown)
        return ChartLink(ChartKind(kind), query, title, UUID(account_id), until, bool(follows))

    async def _chart(self, link: ChartLink) -> Chart:
        measure, query, series = await self._charts.shown(link, query_of(link))
        period = queries.QueryPeriod(
            start_time=timestamp(query.period.start),
            end_time=timestamp(query.period.end),
            granularity=GRANULARITIES.wire(query.period.granularity),
            time_zone=query.period.time_zone,
        )
        title = link.title or title_of(measure)
        return chart(title, period, measure.percentiles, [time_series(each) for each in series])
