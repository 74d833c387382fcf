"""files, put together."""

from datetime import timedelta

from server.files.permissions import PERMISSIONS
from server.files.rules.events import EVENT_TYPES
from server.files.settings import FilesSettings
from server.frame.module import Manifest, Module, Service, Shared, now
from server.frame.personal_data import PersonalData
from storage.database import Database


def build(shared: Shared, settings: FilesSettings) -> Module:
    """Imports what it is made of here: a process that does not serve files has neither its code nor its contract."""
    from backroom.files.v1 import file_service_pb2, file_service_pb2_grpc
    from server.files.blobs.configured import blobs_of
    from server.files.blobs.reported import ReportedBlobs
    from server.files.http import http_routes
    from server.files.jobs import tasks
    from server.files.links import Links
    from server.files.rules.receiving import Quotas
    from server.files.scanning.configured import scanner_of
    from server.files.service import (
        Assembling,
        Digests,
        Files,
        Receiving,
        Scanning,
        Sweeping,
        Thumbnails,
        UploadLinks,
        Uploads,
    )
    from server.files.servicer import FileServicer
    from server.files.thumbnails import ThumbnailMaker
    from storage.files.store import FILES

    store, now, new_id = shared.database.store(FILES), shared.now, shared.new_id
    blobs, digests = ReportedBlobs(blobs_of(settings, shared.deployment), shared.logger), Digests()
    quotas = Quotas(settings.files_quota_bytes, settings.files_large_quota_bytes)
    life = timedelta(hours=settings.files_upload_hours)
    assembling = Assembling(store, blobs, digests, new_id)
    uploads = Uploads(
        store,
        assembling,
        now,
        new_id,
        quotas=quotas,
        largest_bytes=settings.files_largest_bytes,
        life=life,
    )
    receiving = Receiving(store, blobs, digests, now, new_id, life)
    files = Files(
        store,
        blobs,
        shared.authentication.permissions_of,
        now,
        quotas=quotas,
        serve_unscannable=settings.serves_unscannable,
    )
    scanner = scanner_of(settings.files_scanner, settings.files_scanner_max_bytes)
    scanning = Scanning(store, blobs, scanner, now, new_id, shared.logger, shared.registry)
    sweeping = Sweeping(store, blobs, now, shared.logger, shared.registry)
    maker, links = ThumbnailMaker(), Links(shared.master_keys)
    thumbnails = Thumbnails(files, blobs, maker)
    upload_links = UploadLinks(store, shared.authentication.permissions_of, now)
    servicer = FileServicer(uploads, receiving, files, scanning, thumbnails, upload_links, links)

    async def close_digests() -> None:
        digests.close()

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
        closing=(receiving.close, assembling.close, close_digests, maker.processes.close, blobs.close),
    )


def personal_data(database: Database) -> PersonalData:
    from server.files.service.owners import OwnersData
    from storage.files.store import FILES

    return OwnersData(database.store(FILES), now)


MANIFEST = Manifest(
    name="files", build=build, permissions=PERMISSIONS, event_types=EVENT_TYPES, personal_data=personal_data
)
