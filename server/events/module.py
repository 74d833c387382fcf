"""events, put together."""

from datetime import timedelta

from server.events.permissions import PERMISSIONS
from server.events.settings import EventsSettings
from server.frame.module import Manifest, Module, Service, Shared


def build(shared: Shared, settings: EventsSettings) -> Module:
    """Imports what it is made of here: a process that does not serve events has neither its code nor its contract."""
    from backroom.events.v1 import (
        event_query_service_pb2,
        event_query_service_pb2_grpc,
        event_service_pb2,
        event_service_pb2_grpc,
    )
    from server.events.http.chart_routes import ChartRoutes
    from server.events.jobs import rollup_tasks
    from server.events.service import DeclaredTypes, Deleting, Events, Ingesting, Partitions
    from server.events.service.charts import Charts
    from server.events.service.counting import Counting
    from server.events.service.meters import Meters
    from server.events.service.rolling import Rolling
    from server.events.servicer import EventServicer
    from server.events.servicer.event_query_service import EventQueryServicer
    from storage.events.store import EVENTS, EVENTS_CONFIGURATION

    data, configuration = shared.database.store(EVENTS), shared.database.store(EVENTS_CONFIGURATION)
    now, days = shared.now, settings.events_retention_days
    partitions = Partitions(data, now, days)
    declared = DeclaredTypes(
        configuration,
        now,
        retention_days=days,
        ahead=timedelta(minutes=settings.events_ahead_minutes),
        declared_only=settings.events_declared_only,
    )
    ingesting = Ingesting(data, declared, partitions, now, longest_seconds=shared.database.limits.answer)
    events = Events(data, now)
    of_events = EventServicer(ingesting, events, Deleting(data, configuration))
    counting = Counting(data, configuration, now)
    charts = Charts(configuration, counting, shared.authentication.permissions_of, now)
    chart_routes = ChartRoutes(charts, shared.master_keys, shared.logger)
    meters = Meters(configuration, data, now, shared.new_id)
    queries = EventQueryServicer(counting, meters, charts, chart_routes)
    return Module(
        services=(
            Service(event_service_pb2, event_service_pb2_grpc, of_events),
            Service(event_query_service_pb2, event_query_service_pb2_grpc, queries),
        ),
        tasks=rollup_tasks(Rolling(data, configuration)),
        routes=chart_routes.routes(),
        batchers=(ingesting.batcher,),
        feeds=(events.feed,),
    )


MANIFEST = Manifest(name="events", build=build, permissions=PERMISSIONS)
