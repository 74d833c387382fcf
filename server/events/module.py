"""events, put together."""

from datetime import timedelta
from typing import TYPE_CHECKING

from server.events.permissions import PERMISSIONS
from server.events.settings import EventsSettings
from server.frame.module import Manifest, Module, Service, Shared
from server.frame.personal_data import PersonalData
from storage.database import Database

if TYPE_CHECKING:
    from server.events.service import DeclaredTypes, Ingesting, Partitions, SlowReadings


def build(shared: Shared, settings: EventsSettings) -> Module:
    """Imports what it is made of here: a process that does not serve events has neither its code nor its contract."""
    from backroom.events.v1 import (
        event_service_pb2,
        event_service_pb2_grpc,
        event_type_service_pb2,
        event_type_service_pb2_grpc,
    )
    from server.events.jobs import tasks
    from server.events.service import (
        DeclaredTypes,
        Deleting,
        Events,
        EventTypes,
        Exporting,
        Ingesting,
        Partitions,
        Purging,
        RefusedEvents,
        SlowReadings,
    )
    from server.events.servicer import EventServicer, EventTypeServicer
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
    readings = SlowReadings(data)
    events = Events(data, readings, now)
    of_events = EventServicer(ingesting, events, Deleting(data, configuration), Exporting(readings))
    event_types = EventTypes(configuration, declared, now)
    of_types = EventTypeServicer(event_types, RefusedEvents(data, configuration, ingesting))
    sources, queries = _sources(shared, settings, declared, partitions, ingesting), _queries(shared, readings)
    return Module(
        services=(
            Service(event_service_pb2, event_service_pb2_grpc, of_events),
            Service(event_type_service_pb2, event_type_service_pb2_grpc, of_types),
            *queries.services,
            *sources.services,
        ),
        tasks=(*tasks(partitions, Purging(data, now)), *queries.tasks, *sources.tasks),
        routes=(*queries.routes, *sources.routes),
        batchers=ingesting.batchers,
        feeds=(events.feed,),
    )


def _queries(shared: Shared, readings: "SlowReadings") -> Module:
    """What is counted of events."""
    from backroom.events.v1 import event_query_service_pb2, event_query_service_pb2_grpc
    from server.events.http.chart_routes import ChartRoutes
    from server.events.jobs import rollup_tasks
    from server.events.service.charts import Charts
    from server.events.service.counting import Counting
    from server.events.service.meters import Meters
    from server.events.service.rolling import Rolling
    from server.events.servicer.event_query_service import EventQueryServicer
    from storage.events.store import EVENTS, EVENTS_CONFIGURATION

    data, configuration = shared.database.store(EVENTS), shared.database.store(EVENTS_CONFIGURATION)
    counting = Counting(readings, configuration, shared.now)
    charts = Charts(configuration, counting, shared.authentication.permissions_of, shared.now)
    chart_routes = ChartRoutes(charts, shared.master_keys, shared.logger)
    meters = Meters(configuration, data, shared.now, shared.new_id)
    queries = EventQueryServicer(counting, meters, charts, chart_routes)
    return Module(
        services=(Service(event_query_service_pb2, event_query_service_pb2_grpc, queries),),
        tasks=rollup_tasks(Rolling(data, configuration)),
        routes=chart_routes.routes(),
    )


def _sources(
    shared: Shared,
    settings: EventsSettings,
    declared: "DeclaredTypes",
    partitions: "Partitions",
    ingesting: "Ingesting",
) -> Module:
    """Where else events come from: HTTP, webhooks, and the modules themselves."""
    from backroom.events.v1 import webhook_mapping_service_pb2, webhook_mapping_service_pb2_grpc
    from server.events.http.routes import PERMISSION, EventRoutes
    from server.events.jobs import collecting_tasks
    from server.events.service import Collecting, WebhookMappings
    from server.events.servicer import WebhookMappingServicer
    from server.frame.http import HttpCallers
    from server.frame.http_access import HttpAccess
    from storage.events.store import EVENTS, EVENTS_CONFIGURATION

    data, configuration = shared.database.store(EVENTS), shared.database.store(EVENTS_CONFIGURATION)
    callers = HttpCallers(shared.authentication, shared.trusted_proxies)
    access = HttpAccess(callers, PERMISSION, settings.events_requests_per_second)
    counted = {kind: name for kind, name in shared.modules_of_events.items() if name in settings.events_from_modules}
    mappings = WebhookMappingServicer(WebhookMappings(configuration, shared.takers, shared.now))
    return Module(
        services=(Service(webhook_mapping_service_pb2, webhook_mapping_service_pb2_grpc, mappings),),
        tasks=collecting_tasks(Collecting(configuration, data, declared, partitions, counted, shared.now)),
        routes=EventRoutes(ingesting, access, shared.registry, shared.logger).routes(),
    )


def personal_data(database: Database) -> PersonalData:
    from server.events.service import Deleting
    from server.events.service.persons import PersonsEvents
    from storage.events.store import EVENTS, EVENTS_CONFIGURATION

    data = database.store(EVENTS)
    return PersonsEvents(data, Deleting(data, database.store(EVENTS_CONFIGURATION)))


MANIFEST = Manifest(name="events", build=build, permissions=PERMISSIONS, personal_data=personal_data)
