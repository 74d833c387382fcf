"""All tables and all laws in one place: the tables for migrations to be compared with, the laws to be verified.

They are found by their names, in the frame's folder and in each module's: `tables` and `laws`, a file or a folder each.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from storage.base import METADATA
from storage.laws import Law

__all__ = ["LAWS", "METADATA", "SCHEMAS"]


def _found(role: str) -> Sequence[ModuleType]:
    """Python's modules of this name, one folder down."""
    here = Path(__file__).parent
    files = (*here.glob(f"*/{role}.py"), *here.glob(f"*/{role}/__init__.py"))
    return [
        import_module(f"storage.{folder}.{role}")
        for folder in sorted(path.relative_to(here).parts[0] for path in files)
    ]


_found("tables")  # each adds its own to METADATA
SCHEMAS = sorted({table.schema for table in METADATA.tables.values() if table.schema})
"""One PostgreSQL schema a module."""
LAWS: Sequence[Law] = sorted(
    (law for laws in _found("laws") for law in laws.LAWS), key=lambda law: int(law.id.removeprefix("I"))
)
"""What `backroom verify` holds, by their numbers."""
