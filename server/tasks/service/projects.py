from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from server.frame.caller import PermissionsOf
from server.frame.editing import Edit, changed, check_etag
from server.frame.errors import FieldInvalid
from server.frame.repeating import once
from server.tasks.errors import LastOwner, LimitReached, MemberNotFound, NoSuchAccount, ProjectKeyTaken
from server.tasks.rules.access import MOST_MEMBERS, MOST_PROJECTS, check_role, member
from server.tasks.rules.editing import check_custom_fields
from server.tasks.rules.history import Happened
from server.tasks.service.answers import MEMBER, PROJECT
from server.tasks.service.recording import record
from storage.errors import AlreadyExists
from storage.frame.records import ChangeContext
from storage.tasks.records import ActivityKind, CustomField, Member, Membership, Project, ProjectRole, Task
from storage.tasks.store import TasksStore, TasksTransaction

_UNASSIGNED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class ProjectDraft:
    """A project as a caller describes it."""

    key: str
    name: str
    description: str
    custom_fields: tuple[CustomField, ...]
    archived: bool


class Projects:
    """Projects and their members."""

    def __init__(
        self,
        store: TasksStore,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        permissions_of: PermissionsOf,
    ) -> None:
        self._store = store
        self._now = now
        self._new_id = new_id
        self._permissions_of = permissions_of

    async def create(self, draft: ProjectDraft, context: ChangeContext) -> Membership:
        """Creates a project whose owner is the caller; raises FieldInvalid, ProjectKeyTaken, LimitReached."""

        async def act(tx: TasksTransaction) -> Membership:
            check_custom_fields(draft.custom_fields, ())
            now = self._now()
            project = Project(
                id=self._new_id(),
                version=1,
                create_time=now,
                update_time=now,
                **{name: getattr(draft, name) for name in ProjectDraft.__dataclass_fields__},
            )
            await self._check_room(tx, context.caller_id)
            await tx.projects.add(project, Member(project.id, context.caller_id, ProjectRole.OWNER, now, now))
            await self._record(tx, ActivityKind.PROJECT_CREATED, project.id, None, project, context)
            return Membership(project, ProjectRole.OWNER)

        try:
            return await once(self._store, context, PROJECT, act, lambda created: f"project/{created.project.id}")
        except AlreadyExists:
            raise ProjectKeyTaken from None

    async def edit(self, edit: Edit[UUID], context: ChangeContext) -> Membership:
        """Raises ProjectNotFound, RoleTooLow, EtagMismatch, FieldInvalid, CustomFieldConflict."""

        async def act(tx: TasksTransaction) -> Membership:
            membership = await self._lock(tx, edit.key, context.caller_id)
            check_role(membership, ProjectRole.OWNER)
            before = membership.project
            check_etag(before, edit)
            if edit.values.get("name", before.name) == "":
                raise FieldInvalid.of("project.name", "is required")
            after = changed(before, edit.values, self._now())
            check_custom_fields(after.custom_fields, before.custom_fields)
            if after is not before:
                await tx.projects.change(after)
                await self._record(tx, ActivityKind.PROJECT_UPDATED, after.id, before, after, context)
            return replace(membership, project=after)

        return await once(self._store, context, PROJECT, act, f"project/{edit.key}")

    async def get(self, account_id: UUID, project_id: UUID) -> Membership:
        """Raises ProjectNotFound."""
        async with self._store.reading() as reading:
            return member(await reading.projects.find(project_id, account_id), project_id)

    async def list_latest(
        self, account_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int, archived: bool
    ) -> Sequence[Membership]:
        """The projects of an account, latest first."""
        async with self._store.reading() as reading:
            return await reading.projects.list_latest(account_id, before=before, limit=limit, archived=archived)

    async def list_members(
        self, account_id: UUID, project_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Member]:
        """Latest first; raises ProjectNotFound."""
        async with self._store.reading() as reading:
            member(await reading.projects.find(project_id, account_id), project_id)
            return await reading.projects.list_members(project_id, before=before, limit=limit)

    async def set_member(self, project_id: UUID, account_id: UUID, role: ProjectRole, context: ChangeContext) -> Member:
        """Raises ProjectNotFound, RoleTooLow, NoSuchAccount, LastOwner, LimitReached."""
        exists = await self._permissions_of(account_id) is not None  # not while a connection is taken

        async def act(tx: TasksTransaction) -> Member:
            membership = await self._lock(tx, project_id, context.caller_id)
            check_role(membership, ProjectRole.OWNER)
            if not exists:
                raise NoSuchAccount(account_id=str(account_id))
            before, now = await tx.projects.lock_member(project_id, account_id), self._now()
            if before is None:
                await self._check_room(tx, account_id)
                if await tx.projects.count_members(project_id) >= MOST_MEMBERS:
                    raise LimitReached(what="members of a project", most=str(MOST_MEMBERS))
                after = Member(project_id, account_id, role, now, now)
                await tx.projects.add_member(after)
            else:
                if before.role == role:
                    return before
                await self._check_owner_left(tx, before)
                after = replace(before, role=role, update_time=now)
                await tx.projects.change_member(after)
            await self._record(tx, ActivityKind.PROJECT_MEMBER_SET, project_id, before, after, context)
            return after

        return await once(self._store, context, MEMBER, act, f"project/{project_id}")

    async def remove_member(self, project_id: UUID, account_id: UUID, context: ChangeContext) -> None:
        """Ends a membership, and unassigns the tasks; raises ProjectNotFound, RoleTooLow, MemberNotFound, LastOwner."""

        async def act(tx: TasksTransaction) -> Member:
            membership = await self._lock(tx, project_id, context.caller_id)
            if account_id != context.caller_id:
                check_role(membership, ProjectRole.OWNER)
            removed = await tx.projects.lock_member(project_id, account_id)
            if removed is None:
                raise MemberNotFound(account_id=str(account_id))
            await self._check_owner_left(tx, removed)
            await self._unassign(tx, removed, context)
            await tx.projects.remove_member(removed)
            await self._record(tx, ActivityKind.PROJECT_MEMBER_REMOVED, project_id, removed, removed, context)
            return removed

        await once(self._store, context, MEMBER, act, f"project/{project_id}")

    async def _unassign(self, tx: TasksTransaction, removed: Member, context: ChangeContext) -> None:
        now = self._now()
        assigned = await tx.tasks.find_assigned(removed.project_id, removed.account_id)
        for place in range(0, len(assigned), _UNASSIGNED_AT_ONCE):
            locked = (await tx.tasks.lock_many(assigned[place : place + _UNASSIGNED_AT_ONCE])).values()
            pairs = [(task, changed(task, {"assignee_id": None}, now)) for task in locked if _is_of(task, removed)]
            await tx.tasks.change([after for _, after in pairs], texts=False)
            happened = [
                Happened(ActivityKind.TASK_UPDATED, removed.project_id, before, after, context.caller_id)
                for before, after in pairs
            ]
            await record(tx, happened, now, self._new_id)

    async def _lock(self, tx: TasksTransaction, project_id: UUID, account_id: UUID) -> Membership:
        await tx.projects.lock_many([project_id])
        return member(await tx.projects.find(project_id, account_id), project_id)

    async def _check_room(self, tx: TasksTransaction, account_id: UUID) -> None:
        if await tx.projects.count_projects(account_id) >= MOST_PROJECTS:
            raise LimitReached(what="projects of an account", most=str(MOST_PROJECTS))

    async def _check_owner_left(self, tx: TasksTransaction, leaving: Member) -> None:
        if leaving.role is ProjectRole.OWNER and await tx.projects.count_owners(leaving.project_id) < 2:
            raise LastOwner

    async def _record(
        self,
        tx: TasksTransaction,
        kind: ActivityKind,
        project_id: UUID,
        before: Project | Member | None,
        after: Project | Member,
        context: ChangeContext,
    ) -> None:
        happened = Happened(kind, project_id, before, after, context.caller_id)
        await record(tx, [happened], after.update_time, self._new_id)


def _is_of(task: Task, removed: Member) -> bool:
    return (task.project_id, task.assignee_id) == (removed.project_id, removed.account_id)
