from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert

from storage.base import Reader, Records, Repository, column_names, row_maker
from storage.identity.records import Role
from storage.identity.tables.accounts import role_grants, roles

_ROLES = Records(Role, permissions=tuple)
_NEW = row_maker(column_names(roles))


class RoleReader(Reader):
    """The roles that were made; those that come with Backroom are not kept."""

    async def find(self, name: str) -> Role | None:
        return _ROLES.first(await self._connection.execute(select(roles).where(roles.c.name == name)))

    async def list_by_name(self, *, after: str | None, limit: int) -> Sequence[Role]:
        """The roles behind a name, by their names."""
        statement = select(roles).order_by(roles.c.name).limit(limit)
        if after is not None:
            statement = statement.where(roles.c.name > after)
        return _ROLES.all(await self._connection.execute(statement))

    async def is_granted(self, name: str) -> bool:
        """Whether any account holds a role."""
        statement = select(exists().where(role_grants.c.role == name))
        return bool((await self._connection.execute(statement)).scalar())


class RoleRepository(RoleReader, Repository):
    """Makes, changes and deletes roles, and locks them meanwhile."""

    async def add(self, role: Role) -> bool:
        """Adds a role; False where its name is taken."""
        statement = insert(roles).values(_NEW(role)).on_conflict_do_nothing().returning(roles.c.name)
        return (await self._connection.execute(statement)).first() is not None

    async def lock(self, name: str) -> Role | None:
        """The role, which nobody grants, changes or deletes until the transaction ends."""
        statement = select(roles).where(roles.c.name == name).with_for_update()
        return _ROLES.first(await self._connection.execute(statement))

    async def lock_shared(self, names: Collection[str]) -> Sequence[Role]:
        """Those of the names that are roles, which nobody changes or deletes until the transaction ends."""
        if not names:
            return []
        statement = select(roles).where(roles.c.name.in_(sorted(names))).order_by(roles.c.name)
        return _ROLES.all(await self._connection.execute(statement.with_for_update(read=True)))

    async def edit(self, name: str, description: str, permissions: Sequence[str], now: datetime) -> None:
        """Replaces what a role says and permits, and counts its version up."""
        changed = {"description": description, "permissions": list(permissions), "update_time": now}
        statement = update(roles).where(roles.c.name == name).values(version=roles.c.version + 1, **changed)
        await self._connection.execute(statement)

    async def revoke_from_all(self, name: str) -> None:
        await self._connection.execute(delete(role_grants).where(role_grants.c.role == name))

    async def delete(self, name: str) -> None:
        await self._connection.execute(delete(roles).where(roles.c.name == name))
