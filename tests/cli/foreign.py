"""A folder with packages of other people's that have the same names as ours."""

from collections.abc import Sequence
from pathlib import Path

NAMES = ("server", "storage", "migrations", "client", "sandbox", "replay", "load")


def put_foreign_packages(folder: Path) -> None:
    """Creates packages that write a file when they are imported or run."""
    for name in NAMES:
        package = folder / name
        package.mkdir()
        code = f"import pathlib\npathlib.Path({str(folder / name)!r} + '.imported').touch()\n"
        for module in ("__init__.py", "__main__.py"):
            (package / module).write_text(code)


def imported_foreign_packages(folder: Path) -> Sequence[str]:
    """The packages that were imported or run."""
    return sorted(path.stem for path in folder.glob("*.imported"))
