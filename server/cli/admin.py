"""Accounts made on the database itself: how the first ones come about where there is no admin yet."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import protovalidate
from google.protobuf.message import Message

from backroom.identity.v1 import access_service_pb2, identity_service_pb2
from server.cli.changing import asked_by, on_the_database
from server.cli.failure import Failure
from server.cli.private_file import write_private
from server.frame.sealing import MasterKeys
from server.identity.roles import ADMIN
from server.wiring import Identity, build_identity
from storage.database import Database

FIRST_ADMIN = "admin@localhost"

Result = TypeVar("Result")


def create_user(email: str, roles: Sequence[str], password: str | None) -> None:
    chosen = password if password is not None else random_password()
    _hold(identity_service_pb2.RegisterRequest(email=email, password=chosen))

    async def create(identity: Identity) -> str:
        return str((await identity.accounts.create(email, chosen, "", roles, asked_by("admin create-user"))).id)

    user_id = asyncio.run(_with_identity(create))
    print(f"user {user_id} with the roles: {', '.join(sorted(roles))}")
    if password is None:
        print(f"password, not to be shown again: {chosen}")


def create_service_account(name: str, roles: Sequence[str]) -> None:
    print(f"key, not to be shown again: {asyncio.run(create_service_key(name, roles))}")


async def create_service_key(name: str, roles: Sequence[str]) -> str:
    """Creates a service account on the database that the settings name, and returns its key."""
    _hold(access_service_pb2.CreateServiceAccountRequest(name=name, roles=roles))

    async def create(identity: Identity) -> str:
        _, key = await identity.api_keys.create_account(None, name, roles, asked_by("admin create-service-account"))
        return key

    return await _with_identity(create)


async def ensure_first_admin(database: Database, keys: MasterKeys, data_dir: Path) -> str | None:
    """Makes an admin where there is none, keeps its password in admin.json, and returns it; None where there is one."""
    async with database.reading() as tx:
        if await tx.accounts.list_people(role=ADMIN, after=None, limit=1):
            return None
    password = random_password()
    write_private(data_dir / "admin.json", json.dumps({"email": FIRST_ADMIN, "password": password}))
    identity = build_identity(database, keys)
    await identity.accounts.create(FIRST_ADMIN, password, "Admin", [ADMIN], asked_by("admin first-admin"))
    identity.passwords.close()
    return password


def random_password() -> str:
    return secrets.token_urlsafe(18)


def _hold(request: Message) -> None:
    """Holds what was typed against the contract's own rules."""
    for violation in protovalidate.collect_violations(request):
        field = violation.proto.field
        name = field.elements[0].field_name if field and field.elements else ""
        raise Failure(f"{name}: {violation.proto.message}")


async def _with_identity(act: Callable[[Identity], Awaitable[Result]]) -> Result:
    async def acted(database: Database, keys: MasterKeys) -> Result:
        identity = build_identity(database, keys)
        try:
            # Before anything is written that the right master key would not have signed.
            await identity.keys.load()
            return await act(identity)
        finally:
            identity.passwords.close()

    return await on_the_database(acted)
