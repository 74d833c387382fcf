"""files, put together."""

from server.files.permissions import PERMISSIONS
from server.files.rules.events import EVENT_TYPES
from server.files.settings import FilesSettings
from server.frame.module import Manifest, Module, Service, Shared


def build(_shared: Shared, _settings: FilesSettings) -> Module:
    """Imports what it is made of here: a process that does not serve files has neither its code nor its contract."""
    from backroom.files.v1 import file_service_pb2, file_service_pb2_grpc
    from server.files.servicer import FileServicer

    return Module(services=(Service(file_service_pb2, file_service_pb2_grpc, FileServicer()),))


MANIFEST = Manifest(name="files", build=build, permissions=PERMISSIONS, event_types=EVENT_TYPES)
