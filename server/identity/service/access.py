from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from server.frame.caller import Caller
from server.frame.repeating import once
from server.identity.roles import ADMIN
from server.identity.rules.roles import known_roles, may_lose
from server.identity.service.existing import existing
from storage.database import Database
from storage.frame.records import Ask
from storage.identity.records import Account


class AccessControl:
    """Who may do what."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def grant(self, caller: Caller, account_id: UUID, role: str, ask: Ask) -> Sequence[str]:
        """Grants a role, and returns all that the account has; raises RoleNotFound, AccountNotFound."""
        async with self._database.transaction() as tx:

            async def act() -> tuple[str, ...]:
                known_roles([role])
                await existing(tx, account_id)
                await tx.accounts.grant(account_id, [role], self._now())
                return (await existing(tx, account_id)).roles

            return await once(tx, ask, tuple[str, ...], act, f"account/{account_id}")

    async def revoke(self, caller: Caller, account_id: UUID, role: str, ask: Ask) -> Sequence[str]:
        """Revokes a role, and returns what is left; raises RoleNotFound, AccountNotFound, LastAdmin."""
        async with self._database.transaction() as tx:

            async def act() -> tuple[str, ...]:
                known_roles([role])
                await existing(tx, account_id)
                holders = await tx.accounts.lock_holders(role) if role == ADMIN else []
                may_lose(role, account_id, holders)
                await tx.accounts.revoke(account_id, role)
                return (await existing(tx, account_id)).roles

            return await once(tx, ask, tuple[str, ...], act, f"account/{account_id}")

    async def list_users(
        self, *, role: str | None, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Account]:
        async with self._database.reading() as tx:
            return await tx.accounts.list_people(role=role, after=after, limit=limit)

    async def list_services(self, *, after: tuple[datetime, UUID] | None, limit: int) -> Sequence[Account]:
        raise NotImplementedError

    async def disable(self, caller: Caller, account_id: UUID, ask: Ask) -> None:
        raise NotImplementedError

    async def enable(self, caller: Caller, account_id: UUID, ask: Ask) -> None:
        raise NotImplementedError
