from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert

from storage.base import Reader, Repository
from storage.identity.records import Role
from storage.identity.tables.accounts import role_grants, roles

_ROLE = tuple(roles.c[name] for name in Role.__slots__)


class RoleReader(Reader):
    """The roles that were made; those that come with Backroom are not kept."""

    async def find(self, name: str) -> Role | None:
        row = (await self._connection.execute(select(*_ROLE).where(roles.c.name == name))).first()
        return _role(row) if row else None

    async def list_by_name(self, *, after: str | None, limit: int) -> Sequence[Role]:
        """The roles behind a name, by their names."""
        statement = select(*_ROLE).order_by(roles.c.name).limit(limit)
        if after is not None:
            statement = statement.where(roles.c.name > after)
        return [_role(row) for row in await self._connection.execute(statement)]

    async def held(self, name: str) -> bool:
        """Whether any account holds a role."""
        statement = select(exists().where(role_grants.c.role == name))
        return bool((await self._connection.execute(statement)).scalar())


class RoleRepository(RoleReader, Repository):
    """Makes, changes and deletes roles, and locks them meanwhile."""

    async def add(self, role: Role) -> bool:
        """Adds a role; False where its name is taken."""
        values = {name: getattr(role, name) for name in Role.__slots__}
        statement = insert(roles).values(values).on_conflict_do_nothing().returning(roles.c.name)
        return (await self._connection.execute(statement)).first() is not None

    async def lock(self, name: str) -> Role | None:
        """The role, which nobody grants, changes or deletes until the transaction ends."""
        statement = select(*_ROLE).where(roles.c.name == name).with_for_update()
        row = (await self._connection.execute(statement)).first()
        return _role(row) if row else None

    async def hold(self, names: Collection[str]) -> Sequence[Role]:
        """Those of the names that are roles, which nobody changes or deletes until the transaction ends."""
        if not names:
            return []
        statement = select(*_ROLE).where(roles.c.name.in_(sorted(names))).order_by(roles.c.name)
        return [_role(row) for row in await self._connection.execute(statement.with_for_update(read=True))]

    async def edit(self, name: str, description: str, permissions: Sequence[str], now: datetime) -> None:
        """Replaces what a role says and permits, and counts its version up."""
        changed = {"description": description, "permissions": list(permissions), "update_time": now}
        statement = update(roles).where(roles.c.name == name).values(version=roles.c.version + 1, **changed)
        await self._connection.execute(statement)

    async def revoke_from_all(self, name: str) -> None:
        await self._connection.execute(delete(role_grants).where(role_grants.c.role == name))

    async def delete(self, name: str) -> None:
        await self._connection.execute(delete(roles).where(roles.c.name == name))


def _role(row: Row[Any]) -> Role:
    permissions, times = tuple(row.permissions), (row.create_time, row.update_time)
    return Role(row.name, row.description, permissions, row.version, *times)
