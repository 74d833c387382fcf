"""flags, put together: their services, and the snapshot that they are evaluated from."""

from server.flags.permissions import PERMISSIONS
from server.flags.settings import FlagsSettings
from server.frame.module import Manifest, Module, Shared


def build(shared: Shared, settings: FlagsSettings) -> Module:
    """Imports what it is made of here: a process that does not serve flags has neither its code nor its contract."""
    from server.flags.ofrep import ofrep_routes
    from server.flags.rules.fractional import Fractional
    from server.flags.service.counting import Counting
    from server.flags.service.following import CurrentFlags
    from server.flags.servicer.flagd import flagd_services
    from storage.flags.store import FLAGS

    store = shared.database.store(FLAGS)
    current = CurrentFlags(store, shared.database.notifications, Fractional(settings.flags_fractional), shared.logger)
    counting = Counting(store, shared.logger)
    return Module(
        services=flagd_services(current, counting, settings.flags_open_to),
        routes=ofrep_routes(shared, settings, current, counting),
        preparing=(current.load,),
        background=(current.follow, counting.run),
        draining=(current.close,),
        closing=(counting.close,),
    )


MANIFEST = Manifest(name="flags", build=build, permissions=PERMISSIONS)
