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
from server import settings
from server.cli.failure import Failure
from server.cli.master_key import master_keys
from server.cli.opened import migrated_database
from server.cli.private_file import write_private
from server.frame.errors import Refusal
from server.frame.sealing import MasterKeys
from server.identity.roles import ADMIN
from server.wiring import Identity, build_identity
from server.wiring.parts import now
from storage.database import Database
from storage.frame.records import NOBODY, Ask

FIRST_ADMIN = "admin@localhost"

Result = TypeVar("Result")


def create_user(email: str, roles: Sequence[str], password: str | None) -> None:
    chosen = password if password is not None else random_password()
    _hold(identity_service_pb2.RegisterRequest(email=email, password=chosen))

    async def create(identity: Identity) -> str:
        return str((await identity.accounts.create(email, chosen, "", roles, _ask("create-user"))).id)

    user_id = asyncio.run(_on_the_database(create))
    print(f"user {user_id} with the roles: {', '.join(sorted(roles))}")
    if password is None:
        print(f"password, not to be shown again: {chosen}")


def create_service_account(name: str, roles: Sequence[str]) -> None:
    print(f"key, not to be shown again: {asyncio.run(create_service_key(name, roles))}")


async def create_service_key(name: str, roles: Sequence[str]) -> str:
    """Creates a service account on the database that the settings name, and returns its key."""
    _hold(access_service_pb2.CreateServiceAccountRequest(name=name, roles=roles))

    async def create(identity: Identity) -> str:
        _, key = await identity.api_keys.create_account(None, name, roles, _ask("create-service-account"))
        return key

    return await _on_the_database(create)


async def ensure_first_admin(database: Database, keys: MasterKeys, data_dir: Path) -> str | None:
    """Makes an admin where there is none, keeps its password in admin.json, and returns it; None where there is one."""
    async with database.reading() as tx:
        if await tx.accounts.list_people(role=ADMIN, after=None, limit=1):
            return None
    password = random_password()
    write_private(data_dir / "admin.json", json.dumps({"email": FIRST_ADMIN, "password": password}))
    identity = build_identity(database, keys)
    await identity.accounts.create(FIRST_ADMIN, password, "Admin", [ADMIN], _ask("first-admin"))
    identity.passwords.close()
    return password


def random_password() -> str:
    return secrets.token_urlsafe(18)


def _ask(command: str) -> Ask:
    """What is recorded of it: who has the database and its keys is not asked for a name."""
    return Ask(NOBODY, f"backroom admin {command}", now())


def _hold(request: Message) -> None:
    """Holds what was typed against the contract's own rules."""
    for violation in protovalidate.collect_violations(request):
        field = violation.proto.field
        name = field.elements[0].field_name if field and field.elements else ""
        raise Failure(f"{name}: {violation.proto.message}")


async def _on_the_database(act: Callable[[Identity], Awaitable[Result]]) -> Result:
    configured = settings.read()
    keys = master_keys(configured)
    async with migrated_database(configured, audit_key=keys.audit_key) as database:
        identity = build_identity(database, keys)
        try:
            return await act(identity)
        except Refusal as refusal:
            raise Failure(refusal.message()) from None
        finally:
            identity.passwords.close()
