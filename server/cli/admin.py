"""Accounts made on the database itself: how the first ones come about where there is no admin yet."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import BinaryIO, TypeVar

import protovalidate
from google.protobuf.message import Message

from backroom.identity.v1 import access_service_pb2, accounts_pb2, identity_service_pb2
from server.cli.database_changes import change_database, command_context
from server.frame.sealing import MasterKeys
from server.identity.use_cases import Identity, build_identity
from server.modules import permissions
from server.process.data_dir.first_admin import random_password
from server.process.failure import Failure
from storage.database import Database
from storage.identity.store import IDENTITY

_MAX_LINE = 4096
"""In bytes: more than the longest password has."""

Result = TypeVar("Result")


def create_user(email: str, roles: Sequence[str], password: str | None) -> None:
    chosen = password if password is not None else random_password()
    _validate(identity_service_pb2.RegisterRequest(email=email, password=chosen))

    async def create(identity: Identity) -> str:
        return str((await identity.accounts.create(email, chosen, "", roles, command_context("admin create-user"))).id)

    user_id = asyncio.run(_with_identity(create))
    print(f"user {user_id} with the roles: {', '.join(sorted(roles))}")
    if password is None:
        print(f"password, not to be shown again: {chosen}")


def password_from(given: BinaryIO) -> str:
    """The first line, in UTF-8, without a byte order mark and the line's end, be it \\n or \\r\\n; raises Failure."""
    line = given.readline(_MAX_LINE)
    try:
        return line.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Failure("--password-stdin: what stands on standard input is not UTF-8") from None


def create_service_account(name: str, roles: Sequence[str]) -> None:
    key = asyncio.run(create_service_key(name, roles))
    print(f"service account {name} with the roles {', '.join(sorted(roles))}; key, not to be shown again: {key}")


async def create_service_key(name: str, roles: Sequence[str]) -> str:
    """Creates a service account on the database that the settings name, and returns its key."""
    _validate(
        access_service_pb2.CreateServiceAccountRequest(
            service_account=accounts_pb2.ServiceAccount(name=name, roles=roles)
        )
    )

    async def create(identity: Identity) -> str:
        _, key = await identity.api_keys.create_account(
            None, name, roles, command_context("admin create-service-account")
        )
        return key

    return await _with_identity(create)


def _validate(request: Message) -> None:
    """Holds what was typed against the contract's own rules."""
    for violation in protovalidate.collect_violations(request):
        field = violation.proto.field
        name = field.elements[-1].field_name if field and field.elements else ""
        raise Failure(f"{name}: {violation.proto.message}")


async def _with_identity(act: Callable[[Identity], Awaitable[Result]]) -> Result:
    async def acted(database: Database, keys: MasterKeys) -> Result:
        identity = build_identity(database.store(IDENTITY), keys, permissions())
        try:
            # Before anything is written that the right master key would not have signed.
            await identity.keys.load()
            return await act(identity)
        finally:
            identity.passwords.close()

    return await change_database(acted)
