"""Accounts that are deleted and exported, for tests."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from backroom.identity.v1 import account_service_pb2 as pb
from backroom.identity.v1 import profiles_pb2
from server.identity.service.deleting import ERASE
from storage.database import Database
from storage.store import FRAME
from tests.fixtures.servers import Api, Running
from tests.identity.people import PASSWORD, execute, logged_in, me, registered


async def person(server: Running, email: str = "ada@example.com") -> Api:
    """Somebody who registered, and signed in with a password."""
    await registered(server.anonymous, email)
    tokens = await logged_in(server.anonymous, email)
    api = Api(server.channel, tokens.access_token, mailbox=server.mailbox)
    api.account_id = UUID((await me(api)).user.user_id)
    return api


def deleting(account_id: UUID | None = None, **rest: Any) -> pb.DeleteAccountRequest:
    """Of another account where an id is given, and of the caller's own by its password."""
    whose = {"account_id": str(account_id)} if account_id else {"current_password": PASSWORD}
    return pb.DeleteAccountRequest(**{"request_id": str(uuid4()), **whose, **rest})


async def deleted(api: Api, account_id: UUID | None = None, **rest: Any) -> profiles_pb2.AccountDeletion:
    return (await api.accounts.DeleteAccount(deleting(account_id, **rest))).deletion  # type: ignore[no-any-return]


async def deletion_of(admin: Api, account_id: UUID | None) -> profiles_pb2.AccountDeletion:
    request = pb.GetAccountDeletionRequest(account_id=str(account_id))
    return (await admin.accounts.GetAccountDeletion(request)).deletion  # type: ignore[no-any-return]


async def due_at_once(database: Database) -> None:
    """Moves the clock of the jobs that erase."""
    await execute(database, "UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE task_name = :task", task=ERASE)


async def erased(server: Running, account_id: UUID | None) -> None:
    """Does the job that erases, as a worker does."""
    (task,) = (task for task in server.application.tasks if task.name == ERASE)
    await task.run(account_id=str(account_id))


async def exported(api: Api, account_id: UUID | None = None) -> list[dict[str, Any]]:
    """The lines of an export."""
    request = pb.ExportAccountRequest(account_id=str(account_id or ""))
    text = "".join([part.json_lines async for part in api.accounts.ExportAccount(request)])
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


async def named(api: Api, handle: str, account_id: UUID | None = None, **rest: Any) -> profiles_pb2.Profile:
    """Sets a handle."""
    whose = str(account_id or "")
    request = pb.SetHandleRequest(**{"request_id": str(uuid4()), "account_id": whose, "handle": handle, **rest})
    return (await api.accounts.SetHandle(request)).profile  # type: ignore[no-any-return] # stubs are Any


async def profile(api: Api, **by: str) -> profiles_pb2.Profile:
    return (await api.accounts.GetProfile(pb.GetProfileRequest(**by))).profile  # type: ignore[no-any-return] # as above


_TABLES = text("""
    SELECT table_schema || '.' || table_name FROM information_schema.tables
    WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
""")


async def found_anywhere(database: Database, needles: Sequence[str]) -> set[tuple[str, str]]:
    """Which of these texts stand in which table: in any column of any row, in any case, as bytes too."""
    found = set()
    async with database.store(FRAME).reading() as reading:
        for table in (await reading._connection.execute(_TABLES)).scalars().all():
            rows = await reading._connection.execute(text(f"SELECT row_to_json(t)::text FROM {table} AS t"))
            whole = "\n".join(rows.scalars()).lower()
            found |= {
                (table, needle) for needle in needles if needle.lower() in whole or needle.encode().hex() in whole
            }
    return found
