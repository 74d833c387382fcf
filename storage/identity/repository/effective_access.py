from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Table, Text, and_, func, or_, select

from storage.base import Reader, Records
from storage.identity.records import EffectiveAccess
from storage.identity.tables.accounts import accounts, role_grants, roles
from storage.identity.tables.keys import api_keys
from storage.identity.tables.sessions import sessions

_EFFECTIVE_ACCESS = Records(EffectiveAccess, roles=tuple, custom_permissions=tuple)


class EffectiveAccessReader(Reader):
    """What stands behind tokens."""

    async def find(self, account_id: UUID, issued_for: UUID) -> EffectiveAccess | None:
        """What stands behind a token of an account that was issued for a session or a key; None where nothing does."""
        granted = select(role_grants.c.role).where(role_grants.c.account_id == account_id)
        made = select(func.unnest(roles.c.permissions)).where(roles.c.name.in_(granted))
        columns = (
            func.array(granted.scalar_subquery(), type_=ARRAY(Text)).label("roles"),
            func.array(made.scalar_subquery(), type_=ARRAY(Text)).label("custom_permissions"),
            func.coalesce(sessions.c.expire_time, api_keys.c.expire_time).label("expire_time"),
        )
        stands = accounts.outerjoin(sessions, _live(sessions, issued_for)).outerjoin(
            api_keys, _live(api_keys, issued_for)
        )
        statement = (
            select(*columns)
            .select_from(stands)
            .where(accounts.c.id == account_id, accounts.c.disable_time.is_(None))
            .where(or_(sessions.c.id.is_not(None), api_keys.c.id.is_not(None)))
        )
        return _EFFECTIVE_ACCESS.first(await self._connection.execute(statement))

    async def find_account(self, account_id: UUID) -> EffectiveAccess | None:
        """How an account stands by itself, without a token; None where it is disabled, or there is none."""
        granted = select(role_grants.c.role).where(role_grants.c.account_id == account_id)
        made = select(func.unnest(roles.c.permissions)).where(roles.c.name.in_(granted))
        statement = select(
            func.array(granted.scalar_subquery(), type_=ARRAY(Text)).label("roles"),
            func.array(made.scalar_subquery(), type_=ARRAY(Text)).label("custom_permissions"),
        ).where(accounts.c.id == account_id, accounts.c.disable_time.is_(None))
        found = await self._connection.execute(statement.select_from(accounts))
        return _EFFECTIVE_ACCESS.first(found, expire_time=lambda _: None)


def _live(table: Table, issued_for: UUID) -> ColumnElement[bool]:
    return and_(table.c.id == issued_for, table.c.account_id == accounts.c.id, table.c.end_time.is_(None))
