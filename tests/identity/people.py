"""People and services to sign in, for tests."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import uuid_utils.compat
from sqlalchemy import text

from backroom.identity.v1 import access_service_pb2, accounts_pb2, identity_service_pb2
from server.process.server import Server
from server.settings import Address
from storage.database import Database
from storage.identity.records import Account, AccountKind
from storage.store import FRAME
from tests.fixtures.applications import QUIET, application_of
from tests.fixtures.mailboxes import token_for
from tests.fixtures.servers import Api, Running, quick_passwords, refused

PASSWORD = "correct horse battery"
NEW_PASSWORD = "staple correct horse"


class Clock:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **by: float) -> None:
        self.time += timedelta(**by)


def person(email: str | None = None, *roles: str, **rest: Any) -> Account:
    """A person's account, to be added."""
    account_id = uuid_utils.compat.uuid7()
    values = {
        "id": account_id,
        "kind": AccountKind.PERSON,
        "email": email or f"{account_id}@example.com",
        "name": "Ada",
        "roles": tuple(sorted(roles)),
        "create_time": datetime(2026, 1, 2, tzinfo=UTC),
    }
    return Account(**{**values, **rest})


def robot(name: str, *roles: str) -> Account:
    """A service account, to be added."""
    return replace(person(None, *roles, name=name), kind=AccountKind.SERVICE, email=None)


def registering(email: str = "ada@example.com", **rest: Any) -> identity_service_pb2.RegisterRequest:
    values = {"request_id": str(uuid4()), "email": email, "password": PASSWORD, "display_name": "Ada"}
    return identity_service_pb2.RegisterRequest(**{**values, **rest})


async def registered(api: Api, email: str = "ada@example.com") -> accounts_pb2.User:
    """A person who registered, and then verified the address with the mail; returns the answer."""
    user = (await api.identity.Register(registering(email))).user
    await verified(api, email.lower())
    return user  # type: ignore[no-any-return] # stubs are Any


async def verified(api: Api, email: str = "ada@example.com") -> None:
    """Verifies an address with the last mail that was sent to it."""
    assert api.mailbox is not None, "the mails of this server cannot be read"
    token = await token_for(api.mailbox, email)
    await api.identity.VerifyEmail(identity_service_pb2.VerifyEmailRequest(request_id=str(uuid4()), token=token))


def logging_in(
    email: str = "ada@example.com", password: str = PASSWORD, device_token: str = ""
) -> identity_service_pb2.LoginRequest:
    return identity_service_pb2.LoginRequest(email=email, password=password, device_token=device_token)


async def logged_in(api: Api, email: str = "ada@example.com", password: str = PASSWORD) -> accounts_pb2.Tokens:
    return (await api.identity.Login(logging_in(email, password))).tokens  # type: ignore[no-any-return] # as above


def refreshing(refresh_token: str) -> identity_service_pb2.RefreshRequest:
    return identity_service_pb2.RefreshRequest(refresh_token=refresh_token)


async def refreshed(api: Api, refresh_token: str) -> accounts_pb2.Tokens:
    return (await api.identity.Refresh(refreshing(refresh_token))).tokens  # type: ignore[no-any-return] # as above


def changing(current: str = PASSWORD, new: str = NEW_PASSWORD) -> identity_service_pb2.ChangePasswordRequest:
    request_id = str(uuid4())
    return identity_service_pb2.ChangePasswordRequest(request_id=request_id, current_password=current, new_password=new)


def granting(account_id: UUID | str | None, role: str, **rest: Any) -> access_service_pb2.GrantRoleRequest:
    return access_service_pb2.GrantRoleRequest(**{"account_id": str(account_id), "role": role, **rest})


def revoking(account_id: UUID | str | None, role: str, **rest: Any) -> access_service_pb2.RevokeRoleRequest:
    return access_service_pb2.RevokeRoleRequest(**{"account_id": str(account_id), "role": role, **rest})


async def me(api: Api) -> identity_service_pb2.GetMeResponse:
    return await api.identity.GetMe(identity_service_pb2.GetMeRequest())  # type: ignore[no-any-return] # as above


async def outcome(call: Awaitable[Any]) -> str:
    """The outcome of a call that may be refused: its reason, or "done"."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return refused(error).reason
    return "done"


async def log_of(server: Running) -> list[dict[str, Any]]:
    """Its log lines; a caller may get the response before its line is written."""
    await server.idle()
    return server.log


async def kept(database: Database, table: str) -> str:
    """Everything that a table holds, as text."""
    async with database.store(FRAME).reading() as tx:
        rows = await tx._connection.execute(text(f"SELECT row_to_json(t)::text FROM {table} AS t"))
        return "\n".join(rows.scalars())


async def execute(database: Database, statement: str, **values: object) -> None:
    """Changes the database without the server."""
    async with database.store(FRAME).transaction() as tx:
        await tx._connection.execute(text(statement), values)


async def deleted(database: Database, account_id: UUID | None) -> None:
    """Deletes an account, which no call can."""
    for table, column in (("role_grants", "account_id"), ("sessions", "account_id"), ("accounts", "id")):
        await execute(database, f"DELETE FROM identity.{table} WHERE {column} = :account_id", account_id=account_id)


@asynccontextmanager
async def running(database: Database, clock: Clock) -> AsyncIterator[Running]:
    """A real server that uses this clock."""
    application = application_of(database, QUIET, passwords=quick_passwords(), now=clock)
    server = Server(application, Address("127.0.0.1:0"), Address("127.0.0.1:0"), QUIET)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield Running(application, server, database, channel)
    await server.stop()
