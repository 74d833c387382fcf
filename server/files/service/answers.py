"""The answers of files that are kept for repeated requests."""

from dataclasses import dataclass

from server.files.rules.links import DownloadLink, UploadLink
from server.frame.answers import AnswerKind
from storage.files.records import ListedFile, Upload, Usage


@dataclass(frozen=True, slots=True)
class Requested:
    """Scans that were requested."""

    content_count: int


UPLOAD = AnswerKind("files.upload", Upload)
FILE = AnswerKind("files.file", ListedFile)
USAGE = AnswerKind("files.usage", Usage)
REQUESTED = AnswerKind("files.requested", Requested)
DOWNLOAD_LINK = AnswerKind("files.download_link", DownloadLink)
"""What the link permits, and not its signature."""
UPLOAD_LINK = AnswerKind("files.upload_link", UploadLink)
"""The same."""
