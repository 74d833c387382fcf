"""Files over HTTP: tus uploads, and downloads by signed links with ranges."""

from collections.abc import Mapping, Sequence

from starlette.routing import BaseRoute, Route

from server.files.errors import FileNotFound
from server.files.http.downloads import Downloads
from server.files.http.tus import Tus
from server.files.http.uploading import UploadRequests
from server.files.links import BY_LINK, CONTINUED, DOWNLOADS, UPLOADS, Links
from server.files.service import Files, Receiving, Thumbnails, UploadLinks, Uploads
from server.files.settings import FilesSettings
from server.frame.http import API_KEY_HEADER, HttpCallers, PublicAnswers, for_origins
from server.frame.module import Shared

SECURE: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
}
"""Of each answer, so that nothing in a file ever runs, should a browser show it all the same."""


def http_routes(
    shared: Shared,
    settings: FilesSettings,
    links: Links,
    *,
    files: Files,
    uploads: Uploads,
    receiving: Receiving,
    thumbnails: Thumbnails,
    upload_links: UploadLinks,
) -> Sequence[BaseRoute]:
    """What answers uploads and downloads."""
    answers = PublicAnswers(
        "files", shared.logger, hidden=(FileNotFound,), nothing_here="There is no such file.\n", headers=SECURE
    )
    callers = HttpCallers(shared.authentication, shared.trusted_proxies)
    downloads = Downloads(
        files, thumbnails, links, callers, shared.now, shared.logger, redirect=settings.files_redirect
    )
    requests = UploadRequests(callers, upload_links, links, shared.now)
    tus = Tus(uploads, receiving, files, requests, links, shared.now, settings.files_largest_bytes)
    shows = ["etag", "retry-after", "x-request-id"]
    reading = for_origins(
        settings.files_cors_origins,
        methods=["GET", "HEAD"],
        takes=["range", "if-range", "if-none-match", "x-request-id"],
        shows=[*shows, "accept-ranges", "content-range", "content-disposition"],
    )
    writing = for_origins(
        settings.files_cors_origins,
        methods=["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"],
        takes=["authorization", API_KEY_HEADER, "content-type", "x-request-id", *TUS_TAKES],
        shows=[*shows, "location", *TUS_SHOWS],
    )
    found = answers.around(downloads.answer)
    taken = answers.around(tus.answer)
    methods = ["OPTIONS", "HEAD", "POST", "PATCH", "DELETE"]
    upload_paths = (UPLOADS, BY_LINK + "/{link}", CONTINUED + "/{right}", UPLOADS + "/{file_id}")
    return [
        Route(DOWNLOADS + "/{link}", found, methods=["GET", "HEAD", "OPTIONS"], middleware=[reading]),
        *(Route(path, taken, methods=methods, middleware=[writing]) for path in upload_paths),
    ]


TUS_TAKES = (
    *("tus-resumable", "upload-length", "upload-offset", "upload-metadata", "upload-checksum", "upload-defer-length"),
    "x-http-method-override",
)
TUS_SHOWS = (
    *("tus-resumable", "tus-version", "tus-extension", "tus-max-size", "tus-checksum-algorithm"),
    *("upload-offset", "upload-length", "upload-metadata", "upload-expires"),
)
