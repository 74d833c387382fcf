"""files, put together."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from server.files.permissions import PERMISSIONS
from server.files.rules.events import EVENT_TYPES
from server.files.settings import FilesSettings
from server.frame.module import Manifest, Module, Service, Shared, now
from server.frame.personal_data import PersonalData
from storage.database import Database

if TYPE_CHECKING:
    from server.files.blobs import Blobs
    from server.files.rules.receiving import Quotas
    from server.files.service import Files, Receiving, Scanning, Uploads


def build(shared: Shared, settings: FilesSettings) -> Module:
    """Imports what it is made of here: a process that does not serve files has neither its code nor its contract."""
    from backroom.files.v1 import file_service_pb2, file_service_pb2_grpc
    from server.files.blobs.configured import blobs_of
    from server.files.blobs.owner import Owner
    from server.files.blobs.reported import ReportedBlobs
    from server.files.http import http_routes
    from server.files.jobs import tasks
    from server.files.links import Links
    from server.files.service import Sweeping, Thumbnails, UploadLinks
    from server.files.servicer import FileServicer
    from server.files.thumbnails import ThumbnailMaker
    from storage.files.store import FILES

    store, now = shared.database.store(FILES), shared.now
    blobs = ReportedBlobs(blobs_of(settings, shared.deployment), Owner(shared.deployment.issuer), shared.logger)
    uploads, receiving, closing = _receiving(shared, settings, blobs)
    files, scanning, maker = _files(shared, settings, blobs), _scanning(shared, settings, blobs), ThumbnailMaker()
    sweeping = Sweeping(store, blobs, now, shared.logger, shared.registry)
    thumbnails, links = Thumbnails(files, blobs, maker), Links(shared.master_keys)
    upload_links = UploadLinks(store, shared.authentication.permissions_of, now)
    servicer = FileServicer(uploads, receiving, files, scanning, thumbnails, upload_links, links)
    return Module(
        services=(Service(file_service_pb2, file_service_pb2_grpc, servicer),),
        tasks=tasks(scanning, sweeping),
        routes=http_routes(
            shared,
            settings,
            links,
            files=files,
            uploads=uploads,
            receiving=receiving,
            thumbnails=thumbnails,
            upload_links=upload_links,
        ),
        feeds=(files.feed,),
        closing=(*closing, maker.processes.close, blobs.close),
    )


def _receiving(
    shared: Shared, settings: FilesSettings, blobs: "Blobs"
) -> "tuple[Uploads, Receiving, Sequence[Callable[[], Awaitable[None]]]]":
    """What takes the bytes of uploads, and what closes it."""
    from server.files.service import Assembling, Digests, Receiving, Uploads
    from storage.files.store import FILES

    store, now, new_id, digests = shared.database.store(FILES), shared.now, shared.new_id, Digests()
    life, largest_bytes = timedelta(hours=settings.files_upload_hours), settings.files_largest_bytes
    assembling, quotas = Assembling(store, blobs, digests, new_id), _quotas(settings)
    uploads = Uploads(store, assembling, now, new_id, quotas=quotas, largest_bytes=largest_bytes, life=life)
    receiving = Receiving(store, blobs, digests, now, new_id, life)
    return uploads, receiving, (receiving.close, assembling.close, digests.close)


def _files(shared: Shared, settings: FilesSettings, blobs: "Blobs") -> "Files":
    from server.files.service import Files
    from storage.files.store import FILES

    store, permissions_of = shared.database.store(FILES), shared.authentication.permissions_of
    quotas, serve_unscannable = _quotas(settings), settings.serves_unscannable
    return Files(store, blobs, permissions_of, shared.now, quotas=quotas, serve_unscannable=serve_unscannable)


def _quotas(settings: FilesSettings) -> "Quotas":
    from server.files.rules.receiving import Quotas

    return Quotas(settings.files_quota_bytes, settings.files_large_quota_bytes)


def _scanning(shared: Shared, settings: FilesSettings, blobs: "Blobs") -> "Scanning":
    from server.files.scanning.configured import scanner_of
    from server.files.service import Scanning
    from storage.files.store import FILES

    store = shared.database.store(FILES)
    scanner = scanner_of(settings.files_scanner, settings.files_scanner_max_bytes)
    return Scanning(store, blobs, scanner, shared.now, shared.new_id, shared.logger, shared.registry)


def personal_data(database: Database) -> PersonalData:
    from server.files.service.owners import OwnersData
    from storage.files.store import FILES

    return OwnersData(database.store(FILES), now)


MANIFEST = Manifest(
    name="files", build=build, permissions=PERMISSIONS, event_types=EVENT_TYPES, personal_data=personal_data
)
