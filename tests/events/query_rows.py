"""What the tests of the contract are told of meters and of links to charts."""

from collections.abc import Sequence

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from backroom.events.v1 import event_queries_pb2 as queries
from backroom.events.v1 import event_query_service_pb2 as pb
from tests.contract.scenario import Scenario, fresh
from tests.events.asking import measure, period
from tests.fixtures.servers import Api, Running

_SECRET = "EventQueryService/CreateChartLink"


async def keep_meters(scenario: Scenario) -> None:
    """A meter, from its making to its end, and a link to a chart."""
    admin, one = scenario.admin, "meter/orders"
    made = queries.Meter(name="orders", measure=measure("order.paid"))
    await scenario.change(admin, "CreateMeter", pb.CreateMeterRequest(request_id=fresh(), meter=made), one)
    described = queries.Meter(name="orders", description="Orders that were paid")
    mask = FieldMask(paths=["description"])
    update = pb.UpdateMeterRequest(request_id=fresh(), meter=described, update_mask=mask)
    await scenario.change(admin, "UpdateMeter", update, one)
    asked = pb.QueryMeterRequest(name="orders", period=period())
    link = pb.CreateChartLinkRequest(request_id=fresh(), meter=asked)
    await scenario.change(admin, "CreateChartLink", link, one)
    await scenario.change(admin, "DeleteMeter", pb.DeleteMeterRequest(request_id=fresh(), name="orders"), one)


async def secret_answers(_server: Running, admin: Api) -> Sequence[Message]:
    asked = pb.QueryTimeSeriesRequest(measure=measure("order.paid"), period=period())
    request = pb.CreateChartLinkRequest(request_id=fresh(), time_series=asked)
    return [await admin.event_queries.CreateChartLink(request)]


SHOWS_SECRETS = frozenset({_SECRET})
