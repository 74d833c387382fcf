"""flags, put together: their services, and the snapshot that they are evaluated from."""

from collections.abc import Sequence

from server.flags.permissions import PERMISSIONS
from server.flags.rules.events import EVENT_TYPES, EXPOSED
from server.flags.settings import FlagsSettings
from server.frame.jobs import Task
from server.frame.module import Manifest, Module, OwnPort, Service, Shared
from server.frame.personal_data import DeclaredPersonalData, PersonalData
from storage.database import Database


def build(shared: Shared, settings: FlagsSettings) -> Module:
    """Imports what it is made of here: a process that does not serve flags has neither its code nor its contract."""
    from server.flags.ofrep import ofrep_routes
    from server.flags.rules.fractional import Fractional
    from server.flags.service.counting import Counting
    from server.flags.service.exposures import Exposures
    from server.flags.service.following import CurrentFlags
    from server.flags.servicer.flagd import flagd_services
    from storage.flags.store import FLAGS

    store = shared.database.store(FLAGS)
    fractional, notifications = Fractional(settings.flags_fractional), shared.database.notifications
    current = CurrentFlags(store, notifications, fractional, shared.logger, now=shared.now)
    exposures = Exposures() if settings.flags_exposures else None
    counting = Counting(store, shared.logger, exposures=exposures)
    services, tasks = _keeping(shared, settings)
    return Module(
        services=(*flagd_services(current, counting, shared.now, settings.flags_open_to), *services),
        tasks=tasks,
        routes=ofrep_routes(shared, settings, current, counting),
        preparing=(current.load,),
        background=(current.follow, counting.run),
        draining=(current.close,),
        closing=(counting.close,),
    )


def _keeping(shared: Shared, settings: FlagsSettings) -> tuple[Sequence[Service], Sequence[Task]]:
    """What flags are kept and changed by."""
    from backroom.flags.v1 import (
        flag_service_pb2,
        flag_service_pb2_grpc,
        flag_set_service_pb2,
        flag_set_service_pb2_grpc,
        proposal_service_pb2,
        proposal_service_pb2_grpc,
    )
    from server.flags.jobs import tasks
    from server.flags.rules.fractional import Fractional
    from server.flags.service import Changing, Flags, Proposals, Purging, Schedules, Trying
    from server.flags.servicer import FlagServicer, FlagSetServicer, ProposalServicer
    from storage.flags.store import FLAGS

    store, now, new_id, approval = shared.database.store(FLAGS), shared.now, shared.new_id, settings.flags_approval
    flags, changing = Flags(store, now), Changing(store, now, new_id, approval=approval)
    schedules = Schedules(store, now, new_id, approval=approval)
    trying = Trying(store, changing, now, Fractional(settings.flags_fractional))
    of_flags = FlagServicer(flags, changing, schedules, trying)
    of_proposals = ProposalServicer(Proposals(store, now, new_id))
    services = (
        Service(flag_service_pb2, flag_service_pb2_grpc, of_flags),
        Service(flag_set_service_pb2, flag_set_service_pb2_grpc, FlagSetServicer(flags, changing)),
        Service(proposal_service_pb2, proposal_service_pb2_grpc, of_proposals),
    )
    return services, tasks(schedules, Purging(store, now))


def personal_data(database: Database) -> PersonalData:
    from storage.flags.personal_data import PERSONAL_DATA
    from storage.flags.store import FLAGS

    return DeclaredPersonalData(database.store(FLAGS), PERSONAL_DATA)


MANIFEST = Manifest(
    name="flags",
    build=build,
    permissions=PERMISSIONS,
    event_types=EVENT_TYPES,
    private_event_types=(EXPOSED,),
    own_ports=(
        OwnPort("BACKROOM_FLAGD_ADDRESS", ("flagd.evaluation.v1.Service", "flagd.evaluation.v2.Service")),
        OwnPort("BACKROOM_FLAGD_SYNC_ADDRESS", ("flagd.sync.v1.FlagSyncService",)),
    ),
    personal_data=personal_data,
)
