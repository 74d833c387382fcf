"""events, put together."""

from server.events.permissions import PERMISSIONS
from server.frame.module import Manifest, Module, Shared


def build(_shared: Shared, _settings: object) -> Module:
    """Imports what it is made of here: a process that does not serve events has neither its code nor its contract."""
    return Module(services=())


MANIFEST = Manifest(name="events", build=build, permissions=PERMISSIONS)
