from sqlalchemy import Column, DateTime, ForeignKey, Index, Integer, Table, Text, Uuid

from storage.base import METADATA

_TIME = DateTime(timezone=True)

sessions = Table(
    "sessions",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("identity.accounts.id"), nullable=False),
    # How often the session was refreshed: only the refresh token of this generation counts.
    Column("generation", Integer, nullable=False),
    Column("create_time", _TIME, nullable=False),
    Column("refresh_time", _TIME, nullable=False),
    Column("expire_time", _TIME, nullable=False),
    Column("end_time", _TIME),
    # Where from, and with which program, the session was opened.
    Column("address", Text, nullable=False, server_default=""),
    Column("user_agent", Text, nullable=False, server_default=""),
    Index("ix_sessions_account_id", "account_id", "create_time", "id"),
    Index(None, "expire_time"),
    schema="identity",
)
