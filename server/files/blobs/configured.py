"""The storage that the settings name."""

from pathlib import Path

from server.files.blobs import Blobs
from server.files.settings import FilesSettings
from server.frame.module import SettingMissing
from server.frame.settings import Deployment

FOLDER = "files"
"""In the data folder."""


def blobs_of(settings: FilesSettings, deployment: Deployment) -> Blobs:
    """Raises SettingMissing where it cannot be reached by what is installed."""
    place = settings.files_storage
    if not place.startswith("s3://"):
        from server.files.blobs.folder import FolderBlobs

        return FolderBlobs(Path(place) if place else deployment.data_dir / FOLDER)
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    try:
        from server.files.blobs.s3 import S3Blobs
    except ModuleNotFoundError as error:
        raise SettingMissing("BACKROOM_FILES_STORAGE names S3: install backroom[s3]") from error
    return S3Blobs(
        bucket,
        prefix,
        endpoint=settings.files_s3_endpoint,
        region=settings.files_s3_region,
        access_key=settings.files_s3_access_key,
        secret_key=settings.files_s3_secret_key,
    )
