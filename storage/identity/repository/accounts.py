from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    delete,
    exists,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by, array, insert

from storage.base import Reader, Records, Repository, row_maker
from storage.identity.records import Account, AccountKind
from storage.identity.tables.accounts import accounts, role_grants
from storage.identity.tables.mails import mail_tokens
from storage.identity.tables.sessions import sessions

_ACCOUNT = ("id", "kind", "email", "name", "create_time", "verify_time", "disable_time", "password_time", "handle")

_ACCOUNTS = Records(Account, kind=AccountKind, roles=tuple)
_NEW = row_maker(_ACCOUNT)


class AccountReader(Reader):
    """Accounts and the roles granted to them, as they are stored."""

    async def find(self, account_id: UUID) -> Account | None:
        return _ACCOUNTS.first(await self._connection.execute(_accounts().where(accounts.c.id == account_id)))

    async def find_by_email(self, email: str) -> tuple[Account, str] | None:
        """The person who verified an email, and the hash of its password; nobody has it before."""
        statement = _accounts().add_columns(accounts.c.password_hash).where(_verified(email))
        row = (await self._connection.execute(statement)).first()
        return (_ACCOUNTS.one(row), row.password_hash) if row else None

    async def list_unverified(self, email: str, limit: int) -> Sequence[Account]:
        """People who registered with an email, did not verify it, and are not disabled; the first first."""
        pending = _unverified() & (accounts.c.email == email) & accounts.c.disable_time.is_(None)
        statement = _accounts().where(pending).order_by(accounts.c.create_time, accounts.c.id).limit(limit)
        return _ACCOUNTS.all(await self._connection.execute(statement))

    async def password_hash(self, account_id: UUID) -> str | None:
        """The hash of a person's password; None for a service, or where there is no such account."""
        statement = select(accounts.c.password_hash).where(accounts.c.id == account_id)
        return (await self._connection.execute(statement)).scalar()

    async def list_people(
        self, *, role: str | None, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Account]:
        """People from the oldest on, starting behind a key of (create_time, id)."""
        statement = _page(AccountKind.PERSON, after, limit)
        if role is not None:
            holders = select(role_grants.c.account_id).where(role_grants.c.role == role)
            statement = statement.where(accounts.c.id.in_(holders))
        return _ACCOUNTS.all(await self._connection.execute(statement))

    async def list_services(self, *, after: tuple[datetime, UUID] | None, limit: int) -> Sequence[Account]:
        """Services, in the same way."""
        found = await self._connection.execute(_page(AccountKind.SERVICE, after, limit))
        return _ACCOUNTS.all(found)


class AccountRepository(AccountReader, Repository):
    """Accounts and the roles granted to them."""

    async def add(self, account: Account, *, password_hash: str | None = None) -> bool:
        """Adds an account with its roles; False where its name is taken, or a verified account has its email.

        Any number of people may have registered with one email before the first of them verifies it.
        """
        values = _NEW(account) | {"password_hash": password_hash}
        json_rows = select(*(literal(value, accounts.c[name].type) for name, value in values.items()))
        free = json_rows.where(~exists().where(_verified(account.email or "")))
        statement = insert(accounts).from_select(list(values), free).on_conflict_do_nothing().returning(accounts.c.id)
        if (await self._connection.execute(statement)).first() is None:
            return False
        await self.grant(account.id, account.roles, account.create_time)
        return True

    async def grant(self, account_id: UUID, roles: Collection[str], now: datetime) -> None:
        """Grants roles; those granted already stay as they are."""
        if not roles:
            return
        rows = [{"account_id": account_id, "role": role, "create_time": now} for role in sorted(roles)]
        await self._connection.execute(insert(role_grants).values(rows).on_conflict_do_nothing())

    async def revoke(self, account_id: UUID, role: str) -> None:
        """Revokes a role; nothing happens where it is not granted."""
        granted = (role_grants.c.account_id == account_id) & (role_grants.c.role == role)
        await self._connection.execute(delete(role_grants).where(granted))

    async def lock_holders(self, role: str) -> list[UUID]:
        """The enabled accounts that have a role, in key order: so they stay until the transaction ends."""
        join = role_grants.join(accounts, accounts.c.id == role_grants.c.account_id)
        enabled = (role_grants.c.role == role) & accounts.c.disable_time.is_(None)
        statement = select(accounts.c.id).select_from(join).where(enabled).order_by(accounts.c.id)
        return list((await self._connection.execute(statement.with_for_update(key_share=True))).scalars())

    async def lock(self, account_id: UUID) -> Account | None:
        """The account, which nobody disables, and whose roles nobody changes, until the transaction ends."""
        # The roles are read by a statement of their own, which sees what the lock waited for.
        statement = select(accounts.c.id).where(accounts.c.id == account_id).with_for_update(key_share=True)
        if (await self._connection.execute(statement)).first() is None:
            return None
        return await self.find(account_id)

    async def lock_to_delete(self, account_id: UUID) -> Account | None:
        """The account, to which nobody adds anything until the transaction ends."""
        statement = select(accounts.c.id).where(accounts.c.id == account_id).with_for_update()
        if (await self._connection.execute(statement)).first() is None:
            return None
        return await self.find(account_id)

    async def set_handle(self, account_id: UUID, handle: str) -> None:
        await self._connection.execute(update(accounts).where(accounts.c.id == account_id).values(handle=handle))

    async def set_disable_time(self, account_id: UUID, time: datetime | None) -> None:
        """From when on an account may not come in; None where it may."""
        statement = update(accounts).where(accounts.c.id == account_id)
        await self._connection.execute(statement.values(disable_time=time))

    async def lock_email(self, email: str) -> None:
        """Until the transaction ends, nobody else who locks it decides whose an email is."""
        named = func.hashtextextended(f"identity.accounts/{email}", 0)
        await self._connection.execute(select(func.pg_advisory_xact_lock(named)))

    async def remove_unverified(self, email: str) -> Sequence[UUID]:
        """Removes the registrations with an email that were not verified, with all that hangs on them."""
        return await self._remove(select(accounts.c.id).where(_unverified(), accounts.c.email == email))

    async def purge_unverified(self, before: datetime, limit: int) -> Sequence[UUID]:
        """Removes up to so many people who registered before a time and did not verify their email."""
        old = select(accounts.c.id).where(_unverified(), accounts.c.create_time < before)
        return await self._remove(old.order_by(accounts.c.create_time, accounts.c.id).limit(limit))

    async def _remove(self, chosen: Select[Any]) -> Sequence[UUID]:
        # What hangs on them is looked up once they are locked: nobody adds to it any more.
        ids = list((await self._connection.execute(chosen.with_for_update())).scalars())
        if not ids:
            return ids
        for table in (mail_tokens, sessions, role_grants):
            await self._connection.execute(delete(table).where(table.c.account_id.in_(ids)))
        await self._connection.execute(delete(accounts).where(accounts.c.id.in_(ids)))
        return ids

    async def lock_password_hash(self, account_id: UUID) -> str | None:
        """The hash of a person's password, which nobody changes until the transaction ends; None for one disabled."""
        enabled = (accounts.c.id == account_id) & accounts.c.disable_time.is_(None)
        statement = select(accounts.c.password_hash).where(enabled).with_for_update(read=True)
        return (await self._connection.execute(statement)).scalar()

    async def renew_password_hash(self, account_id: UUID, password_hash: str, *, instead_of: str) -> bool:
        """Replaces the hash of a password by another one of the same; False where a change came first."""
        unchanged = (accounts.c.id == account_id) & (accounts.c.password_hash == instead_of)
        statement = update(accounts).where(unchanged).values(password_hash=password_hash)
        return (await self._connection.execute(statement)).rowcount == 1

    async def change_password_hash(
        self, account_id: UUID, password_hash: str, now: datetime, *, instead_of: str | None = None
    ) -> bool:
        """Sets the hash of a person's new password; False where it is to replace one that another change replaced."""
        unchanged = accounts.c.id == account_id
        if instead_of is not None:
            unchanged &= accounts.c.password_hash == instead_of
        statement = update(accounts).where(unchanged).values(password_hash=password_hash, password_time=now)
        return (await self._connection.execute(statement)).rowcount == 1

    async def set_name(self, account_id: UUID, name: str) -> None:
        await self._connection.execute(update(accounts).where(accounts.c.id == account_id).values(name=name))

    async def verify(self, account_id: UUID, now: datetime) -> None:
        """That a person's address is its own; one that was verified keeps its time."""
        unverified = (accounts.c.id == account_id) & accounts.c.verify_time.is_(None)
        await self._connection.execute(update(accounts).where(unverified).values(verify_time=now))


def _verified(email: str) -> ColumnElement[bool]:
    return (accounts.c.email == email) & accounts.c.verify_time.is_not(None)


def _unverified() -> ColumnElement[bool]:
    return (accounts.c.kind == literal_column("'person'")) & accounts.c.verify_time.is_(None)


def _page(kind: AccountKind, after: tuple[datetime, UUID] | None, limit: int) -> Select[Any]:
    statement = _accounts().where(accounts.c.kind == kind)
    if after is not None:
        statement = statement.where(tuple_(accounts.c.create_time, accounts.c.id) > after)
    return statement.order_by(accounts.c.create_time, accounts.c.id).limit(limit)


def _accounts() -> Select[Any]:
    granted = aggregate_order_by(role_grants.c.role, role_grants.c.role)
    roles = select(func.array_agg(granted)).where(role_grants.c.account_id == accounts.c.id).scalar_subquery()
    columns = (accounts.c[name] for name in _ACCOUNT)
    return select(*columns, func.coalesce(roles, array([], type_=role_grants.c.role.type)).label("roles"))
