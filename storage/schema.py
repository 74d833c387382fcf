"""All tables in one place, for the migrations to be compared with."""

from storage.base import METADATA
from storage.commerce import tables as commerce
from storage.frame import tables as frame
from storage.identity import tables as identity
from storage.webhooks import tables as webhooks

__all__ = ["METADATA", "SCHEMAS", "commerce", "frame", "identity", "webhooks"]

SCHEMAS = sorted({table.schema for table in METADATA.tables.values() if table.schema})
"""One PostgreSQL schema a module."""
