"""All tables and all laws in one place: the tables for migrations to be compared with, the laws to be verified."""

from collections.abc import Sequence

from storage.base import METADATA
from storage.commerce import laws as commerce_laws
from storage.commerce import tables as commerce
from storage.flags import tables as flags
from storage.frame import laws as frame_laws
from storage.frame import tables as frame
from storage.identity import tables as identity
from storage.laws import Law
from storage.webhooks import tables as webhooks

__all__ = ["LAWS", "METADATA", "SCHEMAS", "commerce", "flags", "frame", "identity", "webhooks"]

SCHEMAS = sorted({table.schema for table in METADATA.tables.values() if table.schema})
"""One PostgreSQL schema a module."""
LAWS: Sequence[Law] = sorted((*commerce_laws.LAWS, *frame_laws.LAWS), key=lambda law: int(law.id.removeprefix("I")))
"""What `backroom verify` holds, by their numbers."""
