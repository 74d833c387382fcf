from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, select, update

from storage.base import Reader, Records, Repository, column_names, json_parameter, json_rows, latest, row_maker
from storage.tasks.records import CustomField, CustomFieldType, Member, Membership, Project, ProjectRole
from storage.tasks.tables import members, projects

_KEPT = tuple(name for name in column_names(projects) if name not in ("last_number", "rank_epoch", "custom_fields"))
_MEMBER = column_names(members)
_PAIR = ("project_id", "account_id")


def _custom_fields(kept: Sequence[Mapping[str, Any]]) -> tuple[CustomField, ...]:
    return tuple(
        CustomField(**{**each, "type": CustomFieldType(each["type"]), "choices": tuple(each["choices"])})
        for each in kept
    )


_PROJECTS = Records(Project, custom_fields=(_custom_fields, "custom_fields"))
_MEMBERS = Records(Member, role=ProjectRole)
_ROW = row_maker(_KEPT)
_MEMBER_ROW = row_maker(_MEMBER)

_IDS = json_rows(projects, "id")
_LOCK = (
    select(projects).where(projects.c.id.in_(select(_IDS.c.id))).order_by(projects.c.id).with_for_update(key_share=True)
)
_PAIRS = json_rows(members, *_PAIR)
_MINE = (members.c.project_id == _PAIRS.c.project_id) & (members.c.account_id == _PAIRS.c.account_id)
_MEMBERSHIPS = (
    select(projects, members.c.account_id, members.c.role)
    .join_from(_PAIRS, members, _MINE)
    .join(projects, projects.c.id == members.c.project_id)
)
_ONE = (
    select(projects, members.c.role)
    .join_from(members, projects)
    .where(members.c.project_id == bindparam("project"), members.c.account_id == bindparam("account"))
)
_LOCK_MEMBERS = (
    select(members)
    .where(members.c.project_id == _PAIRS.c.project_id, members.c.account_id == _PAIRS.c.account_id)
    .order_by(members.c.project_id, members.c.account_id)
    .with_for_update(read=True, key_share=True, of=members)
)
_NUMBER = (
    update(projects)
    .where(projects.c.id == bindparam("project"))
    .values(last_number=projects.c.last_number + 1)
    .returning(projects.c.last_number)
)
_OF_ACCOUNT = select(func.count()).where(members.c.account_id == bindparam("account"))
_OF_PROJECT = select(func.count()).where(members.c.project_id == bindparam("project"))
_OWNERS = _OF_PROJECT.where(members.c.role == ProjectRole.OWNER.value)


class ProjectReader(Reader):
    """Projects and their members, as they are stored."""

    async def find(self, project_id: UUID, account_id: UUID) -> Membership | None:
        """A project and a member's role in it; None where the account is no member, or there is no such project."""
        row = (await self._connection.execute(_ONE, {"project": project_id, "account": account_id})).first()
        return Membership(_PROJECTS.one(row), ProjectRole(row.role)) if row is not None else None

    async def find_memberships(self, pairs: Collection[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], Membership]:
        """The same of many, each a project's id and an account's; those who are no members are left out."""
        found = (await self._connection.execute(_MEMBERSHIPS, json_parameter(_PAIR, pairs))).all()
        return {
            (row.id, row.account_id): Membership(project, ProjectRole(row.role))
            for row, project in zip(found, _PROJECTS.all(found), strict=True)
        }

    async def list_latest(
        self, account_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int, archived: bool
    ) -> Sequence[Membership]:
        """A member's projects from the latest on, below a key of (create_time, id)."""
        statement = select(projects, members.c.role).join_from(members, projects)
        statement = statement.where(members.c.account_id == account_id)
        if not archived:
            statement = statement.where(projects.c.archived.is_(False))
        found = (await self._connection.execute(latest(statement, projects, before=before, limit=limit))).all()
        return [
            Membership(project, ProjectRole(row.role)) for row, project in zip(found, _PROJECTS.all(found), strict=True)
        ]

    async def list_members(
        self, project_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Member]:
        """A project's members from the latest on, below a key of (create_time, account_id)."""
        key = (members.c.create_time, members.c.account_id)
        statement = select(members).where(members.c.project_id == project_id)
        if before is not None:
            statement = statement.where(func.row(*key) < func.row(*before))
        ordered = statement.order_by(*(column.desc() for column in key)).limit(limit)
        return _MEMBERS.all(await self._connection.execute(ordered))

    async def find_rank_epoch(self, project_id: UUID) -> int | None:
        """How often the ranks of a project's tasks were renewed."""
        statement = select(projects.c.rank_epoch).where(projects.c.id == project_id)
        found: int | None = await self._connection.scalar(statement)
        return found


class ProjectRepository(ProjectReader, Repository):
    """Projects and their members.

    Whoever creates or moves tasks, or links them with others, locks their projects first, all of them in key order;
    then members that tasks are assigned to, and then tasks: so no two wait for each other.
    """

    async def add(self, project: Project, owner: Member) -> None:
        """Adds a project with its first member; raises AlreadyExists where the key is taken."""
        await self._connection.execute(insert(projects).values(**_values(project), last_number=0, rank_epoch=0))
        await self.add_member(owner)

    async def change(self, project: Project) -> None:
        """Stores the new values of a project that was locked in this transaction."""
        await self._connection.execute(update(projects).where(projects.c.id == project.id).values(**_values(project)))

    async def lock_many(self, project_ids: Collection[UUID]) -> Mapping[UUID, Project]:
        """The projects that exist of these, locked in key order until the transaction ends."""
        ids = json_parameter(("id",), ((project_id,) for project_id in project_ids))
        found = await self._connection.execute(_LOCK, ids)
        return {each.id: each for each in _PROJECTS.all(found)}

    async def next_number(self, project_id: UUID) -> int:
        """A number that no task of a project has had, for a project that was locked in this transaction."""
        return int((await self._connection.execute(_NUMBER, {"project": project_id})).scalar_one())

    async def add_member(self, member: Member) -> None:
        """Raises AlreadyExists where it is one already."""
        await self._connection.execute(insert(members).values(**_MEMBER_ROW(member)))

    async def change_member(self, member: Member) -> None:
        """Stores the role of a member."""
        mine = (members.c.project_id == member.project_id) & (members.c.account_id == member.account_id)
        await self._connection.execute(
            update(members).where(mine).values(role=member.role.value, update_time=member.update_time)
        )

    async def remove_member(self, member: Member) -> None:
        """Ends a membership; no task is assigned to it any more."""
        mine = (members.c.project_id == member.project_id) & (members.c.account_id == member.account_id)
        await self._connection.execute(delete(members).where(mine))

    async def lock_member(self, project_id: UUID, account_id: UUID) -> Member | None:
        """A member, locked until the transaction ends: nobody assigns a task to it meanwhile."""
        mine = (members.c.project_id == project_id) & (members.c.account_id == account_id)
        return _MEMBERS.first(await self._connection.execute(select(members).where(mine).with_for_update()))

    async def lock_assignees(self, pairs: Collection[tuple[UUID, UUID]]) -> Collection[tuple[UUID, UUID]]:
        """Which of these accounts are members of these projects; they stay so until the transaction ends."""
        if not pairs:
            return frozenset()
        found = await self._connection.execute(_LOCK_MEMBERS, json_parameter(_PAIR, sorted(pairs)))
        return {(row.project_id, row.account_id) for row in found}

    async def count_members(self, project_id: UUID) -> int:
        return int(await self._connection.scalar(_OF_PROJECT, {"project": project_id}) or 0)

    async def count_owners(self, project_id: UUID) -> int:
        return int(await self._connection.scalar(_OWNERS, {"project": project_id}) or 0)

    async def count_projects(self, account_id: UUID) -> int:
        """Of how many projects an account is a member."""
        return int(await self._connection.scalar(_OF_ACCOUNT, {"account": account_id}) or 0)


def _values(project: Project) -> Mapping[str, Any]:
    return {**_ROW(project), "custom_fields": [asdict(each) for each in project.custom_fields]}
