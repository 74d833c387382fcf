"""The table of files: each is on the disk by its id."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from bench.peers.usual.models import Base


class File(Base):
    __tablename__ = "files"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(index=True)
    name: Mapped[str]
    size_bytes: Mapped[int]
    sha256: Mapped[str]
    create_time: Mapped[datetime]
