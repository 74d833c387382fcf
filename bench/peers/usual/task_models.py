"""The tables of tasks, with what Backroom's keep: numbers, ranks, labels, links, custom values and the activity."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Computed, ForeignKey, Index, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bench.peers.usual.models import Base

EDITOR = 3


class Project(Base):
    __tablename__ = "projects"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    archived: Mapped[bool]


class Member(Base):
    __tablename__ = "members"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    role: Mapped[int]


class Blocker(Base):
    __tablename__ = "blockers"

    blocked_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id"), primary_key=True)
    blocker_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id"), primary_key=True, index=True)


class Task(Base):
    __tablename__ = "tasks"
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        UniqueConstraint("project_id", "rank"),
        Index("ix_tasks_by_create_time", "project_id", "create_time", "id"),
        Index("ix_tasks_by_update_time", "project_id", "update_time", "id"),
        Index("ix_tasks_by_due_time", "project_id", "due_time", "id"),
        Index("ix_tasks_by_priority", "project_id", "priority", "id"),
        Index("ix_tasks_by_state", "project_id", "state", "rank"),
        Index("ix_tasks_by_assignee", "project_id", "assignee_id", "create_time", "id"),
        Index("ix_tasks_by_parent", "project_id", "parent_id"),
        Index("ix_tasks_labels", "labels", postgresql_using="gin"),
        Index("ix_tasks_search", "search", postgresql_using="gin"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    number: Mapped[int]
    title: Mapped[str]
    description: Mapped[str]
    state: Mapped[str]
    priority: Mapped[int]
    assignee_id: Mapped[UUID | None]
    due_time: Mapped[datetime | None]
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("tasks.id"))
    custom_values: Mapped[list[Any]] = mapped_column(JSONB)
    rank: Mapped[str] = mapped_column(Text(collation="C"))
    version: Mapped[int]
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]
    search: Mapped[str] = mapped_column(
        TSVECTOR, Computed("to_tsvector('simple', title || ' ' || description)", persisted=True), deferred=True
    )
    blocked_by: Mapped[list[Blocker]] = relationship(foreign_keys=Blocker.blocked_id, lazy="selectin", viewonly=True)
    blocking: Mapped[list[Blocker]] = relationship(foreign_keys=Blocker.blocker_id, lazy="selectin", viewonly=True)


class Activity(Base):
    __tablename__ = "activities"
    __table_args__ = (
        Index("ix_activities_by_task", "task_id", "create_time"),
        Index("ix_activities_by_project", "project_id", "create_time"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id"))
    kind: Mapped[str]
    actor_id: Mapped[UUID]
    version: Mapped[int]
    changes: Mapped[list[Any]] = mapped_column(JSONB)
    create_time: Mapped[datetime]


class TaskRequest(Base):
    """An earlier request, and what it was answered."""

    __tablename__ = "task_requests"

    caller_id: Mapped[UUID] = mapped_column(primary_key=True)
    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    digest: Mapped[bytes]
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    create_time: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
