"""Files that nobody else may read, whole or not at all."""

import errno
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

_WITHOUT_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def write_private(path: Path, text: str, *, durable: bool = True) -> None:
    """Writes a file that nobody else may read, in place of the one that is there.

    Whatever happens meanwhile, the file holds what it held or the text: it is on the disk before it takes its place.
    What can be written anew at any time need not be durable: it does not wait, and a power failure may leave it empty.
    """
    unfinished = _written(path, text, durable=durable)
    try:
        unfinished.replace(path)
    except OSError:
        unfinished.unlink()
        raise


def write_private_once(path: Path, text: str) -> str:
    """Writes such a file where there is none, and returns what stands there then, be it of another who was faster."""
    unfinished = _written(path, text, durable=True)
    try:
        with suppress(FileExistsError):
            _link(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path.read_text()


def stored_value(path: Path, name: str) -> str | None:
    """A value of such a file in JSON; None where there is none that can be read."""
    try:
        return str(json.loads(path.read_text())[name])
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None


def remove(path: Path) -> None:
    """Removes a file, if it is there."""
    path.unlink(missing_ok=True)


def private_folder(path: Path) -> None:
    """Makes a folder that nobody else may enter, where there is none."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _link(unfinished: Path, path: Path) -> None:
    try:
        path.hardlink_to(unfinished)
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        if not path.exists():
            unfinished.rename(path)


def _written(path: Path, text: str, *, durable: bool) -> Path:
    """A new file beside, which `mkstemp` makes with mode 600."""
    private_folder(path.parent)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
            file.flush()
            if durable:
                os.fsync(file.fileno())
    except OSError:
        Path(name).unlink()
        raise
    return Path(name)
