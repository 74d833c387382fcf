"""identity's work behind the answers."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from server.frame.jobs import Task
from server.frame.retention import purge_in_batches
from server.identity.service import Accounts, Auditing, Deleting, Mailing, Sessions, Throttling
from server.identity.service.accounts import PURGE_UNVERIFIED
from server.identity.service.deleting import ERASE
from server.identity.service.mailing import SEND as SEND_MAIL
from storage.identity.store import IdentityStore

SEAL = "identity.seal_audit"
ANCHOR = "identity.anchor_audit"

ACCESS_CHANGE_RETENTION = timedelta(hours=1)
"""For how long it is kept whose access changed: far longer than any server goes without looking."""


def access_change_tasks(store: IdentityStore, now: Callable[[], datetime]) -> Sequence[Task]:
    async def purge_access_changes() -> None:
        before = now() - ACCESS_CHANGE_RETENTION
        await purge_in_batches(store, lambda tx, limit: tx.access_changes.purge(before, limit))

    return (Task("identity.purge_access_changes", purge_access_changes, every="37 * * * * 0"),)


def audit_tasks(auditing: Auditing) -> Sequence[Task]:
    async def seal() -> None:
        await auditing.seal()

    async def anchor() -> None:
        await auditing.anchor()

    return (
        # Until it is sealed, an event can still be deleted unseen.
        Task(SEAL, seal, every="* * * * * */2"),
        Task(ANCHOR, anchor, every="* * * * * 30"),
    )


def mail_tasks(mailing: Mailing) -> Sequence[Task]:
    async def send(mail_id: str) -> None:
        await mailing.send(UUID(mail_id))

    return (Task(SEND_MAIL, send), Task("identity.purge_mails", mailing.purge, every="47 * * * * 20"))


def account_tasks(accounts: Accounts, sessions: Sessions) -> Sequence[Task]:
    return (
        Task(PURGE_UNVERIFIED, accounts.purge_unverified, every="57 * * * * 10"),
        Task("identity.purge_sessions", sessions.purge, every="57 * * * * 50"),
    )


def deleting_tasks(deleting: Deleting) -> Sequence[Task]:
    async def erase(account_id: str) -> None:
        await deleting.erase(UUID(account_id))

    return (Task(ERASE, erase),)


def throttling_tasks(throttling: Throttling) -> Sequence[Task]:
    return (Task("identity.purge_attempts", throttling.purge, every="7 * * * * 40"),)
