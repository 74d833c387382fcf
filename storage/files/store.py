"""What files reaches of what is kept: its own repositories, and the frame's."""

from typing import TypeAlias

from storage.files.repository import (
    ContentReader,
    ContentRepository,
    FileChangeReader,
    FileReader,
    FileRepository,
    ObjectReader,
    ObjectRepository,
    UploadReader,
    UploadRepository,
    UsageReader,
    UsageRepository,
)
from storage.store import Store, StoreKind
from storage.transaction import Reading, Transaction, on_connection


class FilesReading(Reading):
    """What can be read of files."""

    file_changes = on_connection(FileChangeReader)
    contents = on_connection(ContentReader)
    files = on_connection(FileReader)
    objects = on_connection(ObjectReader)
    uploads = on_connection(UploadReader)
    usages = on_connection(UsageReader)


class FilesTransaction(FilesReading, Transaction):
    """What can be read and changed of files, all of it or nothing."""

    contents = on_connection(ContentRepository)
    files = on_connection(FileRepository)
    objects = on_connection(ObjectRepository)
    uploads = on_connection(UploadRepository)
    usages = on_connection(UsageRepository)


FILES = StoreKind(FilesReading, FilesTransaction)
FilesStore: TypeAlias = Store[FilesReading, FilesTransaction]
