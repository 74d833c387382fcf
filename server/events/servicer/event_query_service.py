from google.protobuf.timestamp_pb2 import Timestamp

from backroom.events.v1 import event_query_service_pb2 as pb
from backroom.events.v1 import event_query_service_pb2_grpc
from server.events.http.chart_routes import ChartRoutes
from server.events.messages import queries as messages
from server.events.messages.charts import chart_link
from server.events.rules.asking import DEFAULT_TOP
from server.events.rules.chart_links import VALID_DAYS
from server.events.service.charts import Charts
from server.events.service.counting import Counting
from server.events.service.meters import Meters
from server.frame.call import Call
from server.frame.paging import by_column, page_by

_BY_NAME = by_column(lambda meter: meter.name, str)
_BY_SUBJECT = by_column(lambda person: person.subject, str)


class EventQueryServicer(event_query_service_pb2_grpc.EventQueryServiceServicer):
    def __init__(self, counting: Counting, meters: Meters, charts: Charts, chart_routes: ChartRoutes) -> None:
        self._counting = counting
        self._meters = meters
        self._charts = charts
        self._chart_routes = chart_routes

    async def QueryTimeSeries(self, request: pb.QueryTimeSeriesRequest, call: Call) -> pb.QueryTimeSeriesResponse:
        series = await self._counting.time_series(messages.series_query(request))
        return pb.QueryTimeSeriesResponse(series=map(messages.time_series, series))

    async def CreateMeter(self, request: pb.CreateMeterRequest, call: Call) -> pb.CreateMeterResponse:
        meter = await self._meters.create(messages.meter_draft(request.meter), call.change_context(request))
        return pb.CreateMeterResponse(meter=messages.meter(meter))

    async def GetMeter(self, request: pb.GetMeterRequest, call: Call) -> pb.GetMeterResponse:
        meter = await self._meters.get(request.name)
        ready = await self._meters.ready_from()
        return pb.GetMeterResponse(meter=messages.meter(meter, ready.get(meter.id)))

    async def ListMeters(self, request: pb.ListMetersRequest, call: Call) -> pb.ListMetersResponse:
        page = page_by(_BY_NAME, request)
        found = await self._meters.list_by_name(after=page.after, limit=page.limit)
        ready = await self._meters.ready_from()
        meters, next_page_token = page.of(found, lambda meter: messages.meter(meter, ready.get(meter.id)))
        return pb.ListMetersResponse(meters=meters, next_page_token=next_page_token)

    async def UpdateMeter(self, request: pb.UpdateMeterRequest, call: Call) -> pb.UpdateMeterResponse:
        meter = await self._meters.edit(messages.meter_edit(request), call.change_context(request))
        return pb.UpdateMeterResponse(meter=messages.meter(meter))

    async def DeleteMeter(self, request: pb.DeleteMeterRequest, call: Call) -> pb.DeleteMeterResponse:
        await self._meters.delete(request.name, request.etag, call.change_context(request))
        return pb.DeleteMeterResponse()

    async def QueryMeter(self, request: pb.QueryMeterRequest, call: Call) -> pb.QueryMeterResponse:
        _, series = await self._counting.meter_series(messages.meter_query(request))
        return pb.QueryMeterResponse(series=map(messages.time_series, series))

    async def QueryFunnel(self, request: pb.QueryFunnelRequest, call: Call) -> pb.QueryFunnelResponse:
        funnel = messages.funnel(request.funnel)
        total, found = await self._counting.funnel(funnel, request.top or DEFAULT_TOP)
        return pb.QueryFunnelResponse(counts=messages.funnel_counts(total, found, funnel.breakdown))

    async def ListFunnelPeople(self, request: pb.ListFunnelPeopleRequest, call: Call) -> pb.ListFunnelPeopleResponse:
        page = page_by(_BY_SUBJECT, request)
        funnel, group = messages.funnel(request.funnel), messages.group(request)
        found = await self._counting.funnel_people(funnel, request.step, group, after=page.after, limit=page.limit)
        people, next_page_token = page.of(found, messages.funnel_person)
        return pb.ListFunnelPeopleResponse(people=people, next_page_token=next_page_token)

    async def QueryRetention(self, request: pb.QueryRetentionRequest, call: Call) -> pb.QueryRetentionResponse:
        first, returning = messages.step(request.first), messages.step(request.returning)
        cohorts = await self._counting.retention(first, returning, messages.period(request.period))
        return pb.QueryRetentionResponse(cohorts=map(messages.cohort, cohorts))

    async def CreateChartLink(self, request: pb.CreateChartLinkRequest, call: Call) -> pb.CreateChartLinkResponse:
        draft, query = chart_link(request, call.caller.account_id)
        self._chart_routes.path_of(draft)  # refuses what would be too long before anything is made
        link = await self._charts.link(draft, query, request.valid_days or VALID_DAYS, call.change_context(request))
        return pb.CreateChartLinkResponse(
            path=self._chart_routes.path_of(link), expire_time=Timestamp(seconds=link.until)
        )
