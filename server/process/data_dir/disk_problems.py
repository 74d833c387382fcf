"""What the disk or its permissions did not let a command do, said in a line with the fix."""

import errno
import os
import shutil
from pathlib import Path

from server import settings
from server.process.failure import Failure

_SEGMENT_BYTES = 16 << 20
"""PostgreSQL's log grows in steps of this size."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_FOLDER = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG}
_OTHERS = {errno.EIO, errno.ENOLCK, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EOPNOTSUPP}


def disk_problem(error: OSError) -> Failure | None:
    """The same as a Failure that names the setting, or at least the file; None where it is of another kind."""
    number = error.errno
    if number not in _FULL | _CLOSED | _NO_FOLDER | _OTHERS:
        return None
    if error.filename is None and number not in _FULL:
        return None
    folder = _data_dir()
    place = Path(os.fsdecode(error.filename)).absolute() if isinstance(error.filename, str | bytes) else folder
    ours = place is None or folder is None or place.is_relative_to(folder) or folder.is_relative_to(place)
    setting = "BACKROOM_DATA_DIR: " if ours else ""
    return Failure(f"{setting}{place or 'the disk'}: {os.strerror(number or 0)}; {_fix(number or 0, ours=ours)}")


def full_disk(folder: Path) -> Failure | None:
    """A Failure where the disk of a data folder has no room for PostgreSQL any more; None where it has, or is gone."""
    try:
        if shutil.disk_usage(folder).free >= _SEGMENT_BYTES:
            return None
    except OSError:
        return None
    return Failure(f"BACKROOM_DATA_DIR: {folder}: {os.strerror(errno.ENOSPC)}; {_fix(errno.ENOSPC, ours=True)}")


def unusable(folder: Path) -> Failure | None:
    """A Failure where a data folder is none, or this user may not use it; one that is not there yet is to be made."""
    if not folder.exists():
        return None
    number = 0 if folder.is_dir() else errno.ENOTDIR
    if not number and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        number = errno.EACCES
    return disk_problem(OSError(number, "", str(folder))) if number else None


def _fix(number: int, *, ours: bool) -> str:
    another = " or set it to another folder" if ours else " and try again"
    if number in _FULL:
        return f"make room on that disk,{another}"
    if number in _CLOSED:
        return f"let this user read and write it,{another}"
    if number in _NO_FOLDER:
        return f"move away what is there,{another}" if ours else "correct the path"
    return f"fix that,{another}"


def _data_dir() -> Path | None:
    """None where the settings themselves cannot be read."""
    try:
        return settings.read().data_dir.absolute()
    except (settings.SettingsError, OSError):
        return None
