from sqlalchemy import Column, DateTime, Index, Integer, LargeBinary, Table

from storage.base import METADATA

attempts = Table(
    "attempts",
    METADATA,
    # A keyed hash of what is counted, so that neither an address nor what was typed for one is kept.
    Column("key", LargeBinary, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_time", DateTime(timezone=True), nullable=False),
    Index(None, "last_time"),
    schema="identity",
)
