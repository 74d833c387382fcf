"""Where the embedded PostgreSQL listens: in a folder that nobody else may enter, at a path that clients can write."""

import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote

from storage.embedded.account import Account

PORT = 5432
"""A part of the socket's name alone."""
_FOLDER_BYTES = 103 - len(f"/.s.PGSQL.{PORT}")
"""A socket's address has room for 103 bytes on macOS, and for 107 on Linux."""
_PREFIX = "backroom-socket-"


def socket_folder(data: Path, account: Account) -> Path:
    """The data folder itself where clients can write its path; otherwise a new one in a folder for temporary files."""
    if _can_be_written(data):
        return data
    bases = (Path(base) for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp") if base)  # noqa: S108
    name_bytes = len(_PREFIX) + 8
    base = next(base for base in bases if base.is_dir() and _can_be_written(base / ("x" * name_bytes)))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    account.own(folder)
    return folder


def remove_socket_folder(folder: Path | None) -> None:
    """Removes a folder that was made for a socket, with what a killed server left there; leaves any other."""
    if folder is not None and folder.name.startswith(_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def url_of(folder: Path) -> str:
    """What connects there; libpq, psycopg and SQLAlchemy read it alike."""
    return f"postgresql://postgres@/postgres?host={quote(str(folder), safe='/')}&port={PORT}"


def quoted(folder: Path) -> str:
    """The folder as the one entry of a list in PostgreSQL's settings."""
    return '"{}"'.format(str(folder).replace('"', '""'))


def _can_be_written(folder: Path) -> bool:
    """Whether a client reaches a socket there: libpq takes a comma for the end of one path and the start of another."""
    try:
        encoded = str(folder).encode()
    except UnicodeEncodeError:
        return False
    return len(encoded) <= _FOLDER_BYTES and b"," not in encoded
