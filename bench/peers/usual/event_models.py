"""The table of events, with what Backroom's has: a unique key over source and id, and an index for each list."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Index, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from bench.peers.usual.models import Base


class IngestedEvent(Base):
    __tablename__ = "ingested_events"
    __table_args__ = (
        UniqueConstraint("source", "event_id"),
        Index("ix_ingested_events_by_time", "time", "id"),
        Index("ix_ingested_events_by_type", "type", "time"),
        Index("ix_ingested_events_by_subject", "subject", "time"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    source: Mapped[str]
    event_id: Mapped[str]
    type: Mapped[str]
    subject: Mapped[str]
    time: Mapped[datetime]
    data: Mapped[Any] = mapped_column(JSONB)
    receive_time: Mapped[datetime] = mapped_column(server_default=func.now())
