import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from server.frame.caller import Caller
from server.frame.errors import FieldInvalid, Overloaded
from server.frame.personal_data import Erasure, Parts
from server.frame.repeating import find_answer, once_in
from server.frame.shielding import ShieldedTasks
from server.identity.credentials.passwords import Passwords
from server.identity.errors import AccountNotFound, CredentialsInvalid, PasswordAbsent
from server.identity.permissions import ADMIN
from server.identity.rules import throttling
from server.identity.rules.deleting import deleted_event
from server.identity.rules.roles import BuiltInRoles, require_other_admin
from server.identity.service.account_rights import account_for
from server.identity.service.answers import DELETION
from server.identity.service.granting import require_permissions_of
from server.identity.service.handles import MANAGE
from server.identity.service.refusal_audit import RefusalAudit
from server.identity.service.throttling import Attempt, Throttling
from storage.frame.records import NOBODY, AccountDeletion, ChangeContext, Job
from storage.identity.personal_data import PERSONAL_DATA
from storage.identity.records import Account
from storage.identity.store import IdentityStore, IdentityTransaction
from storage.personal_data import Person

ERASE = "identity.erase_account"
"""The task that erases a deleted account's data, part by part."""

ERASED_AFTER = timedelta(seconds=60)
"""Twice as long as a call may last: by then no call is under way that the account made, on any server."""

_POLL_SECONDS = 0.1
_POLLS = 300


class TransactionsUnderWay(Exception):
    """Transactions that began before an account's data is erased have not ended for long: its job is tried again."""


@dataclass(frozen=True, slots=True)
class DeletionRequest:
    """Which account is to be deleted, and what is to become of what it published."""

    account_id: UUID | None
    """None means the caller's own."""
    current_password: str = field(repr=False)
    transfer_to: UUID | None


@dataclass(frozen=True, slots=True)
class _Proof:
    """That a caller knows its password."""

    password_hash: str = field(repr=False)
    attempt: Attempt


class Deleting:
    """How accounts end: at once for whoever has their credentials, and then part by part, until nothing names them."""

    def __init__(
        self,
        store: IdentityStore,
        passwords: Passwords,
        throttling: Throttling,
        built_in: BuiltInRoles,
        refusal_audit: RefusalAudit,
        shielded: ShieldedTasks,
        parts: Parts,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._throttling = throttling
        self._built_in = built_in
        self._refusal_audit = refusal_audit
        self._shielded = shielded
        self._parts = parts
        self._now = now

    async def delete(self, caller: Caller, request: DeletionRequest, context: ChangeContext) -> AccountDeletion:
        """Deletes an account, and has the person's data erased; of one that was deleted, nothing more.

        Raises AccountNotPermitted, PasswordAbsent, TooManyAttempts, Overloaded, CredentialsInvalid, AccountNotFound,
        PermissionNotHeld, LastAdmin, FieldInvalid.
        """
        account_id = account_for(caller, request.account_id, MANAGE, permitted=caller.may("accounts.manage"))
        return await self._shielded.run(self._delete(caller, account_id, request, context))

    async def find(self, account_id: UUID) -> AccountDeletion:
        """Raises AccountNotFound where no account of this id was deleted."""
        async with self._store.reading() as reading:
            deletion = await reading.account_deletions.find(account_id)
        if deletion is None:
            raise AccountNotFound(account_id=str(account_id))
        return deletion

    async def erase(self, account_id: UUID) -> None:
        """Erases a deleted account's data in those parts that are left, one after the other; raises
        TransactionsUnderWay."""
        async with self._store.reading() as reading:
            deletion = await reading.account_deletions.find(account_id)
        if deletion is None or deletion.complete_time is not None:
            return
        parts = self._parts()
        owners = [owner for part in parts.values() for owner in part.owners]
        erasure = Erasure(account_id, deletion.transfer_to, owners)
        for name, part in parts.items():
            if name not in deletion.erased_parts:
                await self._transactions_ended()
                await part.erase(erasure)
                async with self._store.transaction() as tx:
                    await tx.account_deletions.mark_erased(account_id, name)
        await self._complete(account_id)

    async def _delete(
        self, caller: Caller, account_id: UUID, request: DeletionRequest, context: ChangeContext
    ) -> AccountDeletion:
        if (earlier := await find_answer(self._store, context, DELETION)) is not None:
            return earlier
        own = account_id == caller.account_id
        proof = await self._proof(caller, request.current_password, context) if own else None

        async def act(tx: IdentityTransaction) -> AccountDeletion:
            # Before the account, as everywhere: two that lock both in another order would wait for one another.
            admins = await tx.accounts.lock_holders(ADMIN)
            account = await tx.accounts.lock_to_delete(account_id)
            if account is None:
                return await _deleted_before(tx, account_id)
            if proof is not None and await tx.accounts.password_hash(account_id) != proof.password_hash:
                raise CredentialsInvalid
            if not own:
                await require_permissions_of(tx, self._built_in, caller, account)
            require_other_admin(account_id, admins)
            await _require_successor(tx, account, request.transfer_to)
            return await self._end(tx, account, caller, request.transfer_to)

        resource = f"account/{account_id}"
        async with self._refusal_audit.recorded(context, resource), self._store.transaction() as tx:
            deletion = await once_in(tx, context, DELETION, act, resource)
            if proof is not None:
                await self._throttling.succeeded(tx, proof.attempt)
            return deletion

    async def _proof(self, caller: Caller, password: str, context: ChangeContext) -> _Proof:
        async with self._store.reading() as reading:
            known = await reading.accounts.password_hash(caller.account_id)
        if known is None:
            raise PasswordAbsent
        # Whoever has a stolen token may guess here. It counts by the session, so that nobody else slows its owner down.
        attempt = await self._throttling.begin(throttling.signing_in_with(caller.issued_for or caller.account_id))
        try:
            matches = await self._passwords.verify(password, known)
        except Overloaded:
            await self._throttling.withdraw(attempt)
            raise
        async with self._refusal_audit.recorded(context, f"account/{caller.account_id}"):
            if not matches:
                raise CredentialsInvalid
        return _Proof(known, attempt)

    async def _end(
        self, tx: IdentityTransaction, account: Account, caller: Caller, transfer_to: UUID | None
    ) -> AccountDeletion:
        """Removes the account with all that lets anybody in, and queues the rest."""
        now = self._now()
        deletion = AccountDeletion(account.id, caller.account_id, transfer_to, (), now)
        await tx.account_deletions.add(deletion)
        for rows in PERSONAL_DATA.rows:
            await tx.personal_data.erase(rows, Person(account.id))
        await tx.access_changes.add([account.id], now)
        await tx.jobs.defer([Job(ERASE, {"account_id": str(account.id)}, run_at=now + ERASED_AFTER)])
        return deletion

    async def _transactions_ended(self) -> None:
        """Returns once all transactions have ended that may have added something before they could know of the
        deletion, or may copy what is not erased yet."""
        async with self._store.reading() as reading:
            begun = await reading.account_deletions.transactions_begun()
            for _ in range(_POLLS):
                if await reading.account_deletions.transactions_ended() >= begun:
                    return
                await asyncio.sleep(_POLL_SECONDS)
        raise TransactionsUnderWay

    async def _complete(self, account_id: UUID) -> None:
        now = self._now()
        async with self._store.transaction() as tx:
            if await tx.account_deletions.complete(account_id, now):
                await tx.events.publish([deleted_event(account_id, now)])
                await tx.audit.record([ChangeContext(NOBODY, ERASE, now).entry(f"account/{account_id}")])


async def _deleted_before(tx: IdentityTransaction, account_id: UUID) -> AccountDeletion:
    deletion = await tx.account_deletions.find(account_id)
    if deletion is None:
        raise AccountNotFound(account_id=str(account_id))
    return deletion


async def _require_successor(tx: IdentityTransaction, account: Account, transfer_to: UUID | None) -> None:
    """Raises FieldInvalid where what is handed over would be nobody's."""
    if transfer_to is None:
        return
    successor = await tx.accounts.find(transfer_to)
    if successor is None or successor.id == account.id or successor.disable_time is not None:
        raise FieldInvalid.of("transfer_to_account_id", "must be another account that may sign in")
