"""The only code that touches the tables of files."""

from storage.files.repository.changes import FileChangeReader
from storage.files.repository.contents import ContentReader, ContentRepository
from storage.files.repository.files import FileReader, FileRepository
from storage.files.repository.objects import ObjectReader, ObjectRepository
from storage.files.repository.uploads import UploadReader, UploadRepository
from storage.files.repository.usages import UsageReader, UsageRepository

__all__ = [
    "ContentReader",
    "ContentRepository",
    "FileChangeReader",
    "FileReader",
    "FileRepository",
    "ObjectReader",
    "ObjectRepository",
    "UploadReader",
    "UploadRepository",
    "UsageReader",
    "UsageRepository",
]
