"""What is set for files: where their bytes are, how large they may be, and what is served."""

import re
from collections.abc import Iterator, Mapping

from pydantic import field_validator

from server.files.scanning.place import NONE, checked_scanner
from server.frame.environment import read_origins
from server.frame.settings import DeclaredSettings, Deployment, Shown, setting

_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]*)?")
_URL = re.compile(r"https?://[^\s/?#]+")
_GIB = 1024**3


class FilesSettings(DeclaredSettings):
    """The module `files`: where the bytes are, quotas, and what is served."""

    files_storage: str = setting(
        "BACKROOM_FILES_STORAGE",
        "",
        "where files are stored: a folder that all servers share, or `s3://bucket/prefix` (with the extra `s3`)",
        unset="the folder `files` in the data folder",
        page="docs/files.md",
    )
    files_s3_endpoint: str = setting(
        "BACKROOM_FILES_S3_ENDPOINT",
        "",
        "the address of an S3-compatible server, such as `https://minio.internal:9000`",
        unset="AWS's own",
    )
    files_s3_region: str = setting("BACKROOM_FILES_S3_REGION", "us-east-1", "the region of the bucket")
    files_s3_access_key: str = setting(
        "BACKROOM_FILES_S3_ACCESS_KEY",
        "",
        "the access key's id",
        unset="what the machine's own role grants",
    )
    files_s3_secret_key: str = setting(
        "BACKROOM_FILES_S3_SECRET_KEY", "", "the access key's secret", unset="the same", secret=True
    )
    files_largest_bytes: int = setting(
        "BACKROOM_FILES_LARGEST_BYTES", 10 * _GIB, "how large a file may be, in bytes", ge=1, le=2**36
    )
    files_quota_bytes: int = setting(
        "BACKROOM_FILES_QUOTA_BYTES", _GIB, "how much an account may store, in bytes", ge=0, le=2**60
    )
    files_large_quota_bytes: int = setting(
        "BACKROOM_FILES_LARGE_QUOTA_BYTES",
        100 * _GIB,
        "the same of an account with the permission `files.large_quota`",
        ge=0,
        le=2**60,
    )
    files_upload_hours: int = setting(
        "BACKROOM_FILES_UPLOAD_HOURS",
        24,
        "after how many hours without a further chunk an upload is given up and deleted",
        ge=1,
        le=8760,
    )
    files_serve_unscannable: bool = setting(
        "BACKROOM_FILES_SERVE_UNSCANNABLE",
        False,
        "whether files are served of which the scanner cannot tell whether they are clean, such as very large ones",
    )
    files_scanner: str = setting(
        "BACKROOM_FILES_SCANNER",
        "",
        "what scans files: ClamAV's daemon at a socket, `clamd:/run/clamav/clamd.ctl`, or at an address,"
        " `clamd:clamav:3310`; or `none`, with which files are served that nobody scanned",
        unset="files wait for a scanner, and none is served",
        example="clamd:/run/clamav/clamd.ctl",
        page="docs/files.md",
    )
    files_scanner_max_bytes: int = setting(
        "BACKROOM_FILES_SCANNER_MAX_BYTES",
        25 * 1024**2,
        "how large a file the scanner takes, in bytes: ClamAV's MaxFileSize and StreamMaxLength, or less; larger ones"
        " are unscannable",
        ge=1,
        le=2**31 - 1,
    )
    files_cors_origins: tuple[str, ...] = setting(
        "BACKROOM_FILES_CORS_ORIGINS",
        (),
        "the origins of web pages that may upload and download files over HTTP, with commas between",
        unset="none",
        example="https://shop.example.com",
    )
    files_redirect: bool = setting(
        "BACKROOM_FILES_REDIRECT",
        False,
        "whether download links lead to the storage itself where that is S3-compatible, instead of through this server",
    )

    @property
    def serves_unscannable(self) -> bool:
        """Where nothing is scanned, as a setting says by name, nothing else would ever be served."""
        return self.files_serve_unscannable or self.files_scanner == NONE

    @field_validator("files_scanner")
    @classmethod
    def _is_scanner(cls, text: str) -> str:
        return checked_scanner(text)

    @field_validator("files_cors_origins", mode="before")
    @classmethod
    def _origins(cls, value: object) -> object:
        return read_origins(value)

    @field_validator("files_storage")
    @classmethod
    def _is_place(cls, text: str) -> str:
        if "://" in text and not _S3.fullmatch(text):
            raise ValueError("must be a folder, or an address such as s3://bucket/prefix")
        return text.rstrip("/") if len(text) > 1 else text

    @field_validator("files_s3_endpoint")
    @classmethod
    def _is_url(cls, url: str) -> str:
        if url and not _URL.fullmatch(url.rstrip("/")):
            raise ValueError("must be an address such as https://minio.internal:9000")
        return url.rstrip("/")

    def shown(self, deployment: Deployment) -> Mapping[str, Shown]:
        return {**self._shown_storage(deployment), **self._shown_scanner(deployment)}

    def _shown_scanner(self, deployment: Deployment) -> Mapping[str, Shown]:
        if self.files_scanner == NONE:
            fix = "set it to where ClamAV's daemon is, such as clamd:127.0.0.1:3310" if deployment.production else ""
            return {"BACKROOM_FILES_SCANNER": Shown("none: files are served that nobody scanned", fix, broken=False)}
        if self.files_scanner:
            return {}
        found = "not set; files wait for a scanner, and none is served"
        fix = "set it to where ClamAV's daemon is, such as clamd:127.0.0.1:3310, or to none"
        return {"BACKROOM_FILES_SCANNER": Shown(found, fix, broken=False)}

    def _shown_storage(self, deployment: Deployment) -> Mapping[str, Shown]:
        if self.files_storage:
            return {}
        fix = "set a folder that all servers share and that is backed up, or S3" if deployment.production else ""
        found = f"not set; the folder {deployment.data_dir / 'files'}, which no other machine shares"
        return {"BACKROOM_FILES_STORAGE": Shown(found, fix, broken=False)}

    def production_problems(self) -> Iterator[str]:
        if self.files_storage.startswith("s3://") and self.files_s3_endpoint.startswith("http://"):
            yield "BACKROOM_FILES_S3_ENDPOINT is not encrypted: give an https:// address"
