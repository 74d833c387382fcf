"""Accounts made on the database itself: how the first ones come about where there is no admin yet."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

import protovalidate
from google.protobuf.message import Message

from backroom.identity.v1 import access_service_pb2, accounts_pb2, identity_service_pb2
from server.cli.changing import asked_by, on_the_database
from server.cli.failure import Failure
from server.cli.private_file import kept_value, remove, write_private
from server.frame.sealing import MasterKeys
from server.identity.errors import EmailTaken
from server.identity.roles import ADMIN
from server.wiring import Identity, build_identity
from storage.database import Database
from storage.identity.store import IDENTITY

FIRST_ADMIN = "admin@localhost"
_LONGEST_LINE = 4096
"""In bytes: more than the longest password has."""

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


def password_from(given: BinaryIO) -> str:
    """The first line, in UTF-8, without a byte order mark and the line's end, be it \\n or \\r\\n; raises Failure."""
    line = given.readline(_LONGEST_LINE)
    try:
        return line.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Failure("--password-stdin: what stands on standard input is not UTF-8") from None


def create_service_account(name: str, roles: Sequence[str]) -> None:
    key = asyncio.run(create_service_key(name, roles))
    print(f"service account {name} with the roles {', '.join(sorted(roles))}; key, not to be shown again: {key}")


async def create_service_key(name: str, roles: Sequence[str]) -> str:
    """Creates a service account on the database that the settings name, and returns its key."""
    _hold(
        access_service_pb2.CreateServiceAccountRequest(
            service_account=accounts_pb2.ServiceAccount(name=name, roles=roles)
        )
    )

    async def create(identity: Identity) -> str:
        _, key = await identity.api_keys.create_account(None, name, roles, asked_by("admin create-service-account"))
        return key

    return await _with_identity(create)


async def ensure_first_admin(database: Database, keys: MasterKeys, data_dir: Path) -> str | None:
    """Makes an admin where there is none, keeps its password in admin.json, and returns it; None where there is one.

    What stands in admin.json signs in, whenever this is killed. Nobody else may do the same meanwhile. Raises Failure.
    """
    kept, coming = data_dir / "admin.json", data_dir / "admin.json.new"
    async with database.store(IDENTITY).reading() as reading:
        there_is_one = bool(await reading.accounts.list_people(role=ADMIN, after=None, limit=1))
    left = kept_value(coming, "password")
    if there_is_one and left is None:
        return None
    identity = build_identity(database, keys)
    try:
        if left is None or not await _signs_in(database, identity, left):
            left = None if there_is_one else await _first_admin(identity, kept, coming)
    finally:
        identity.passwords.close()
    if left is not None:
        coming.replace(kept)
    coming.unlink(missing_ok=True)
    return left


async def _signs_in(database: Database, identity: Identity, password: str) -> bool:
    """Whether a predecessor made the first admin, and was killed before it could keep the password."""
    async with database.store(IDENTITY).reading() as reading:
        found = await reading.accounts.find_by_email(FIRST_ADMIN)
    return found is not None and bool(await identity.passwords.verify(password, found[1]))


async def _first_admin(identity: Identity, kept: Path, coming: Path) -> str:
    password = random_password()
    write_private(coming, json.dumps({"email": FIRST_ADMIN, "password": password}))
    remove(kept)  # of another database
    try:
        await identity.accounts.create(FIRST_ADMIN, password, "Admin", [ADMIN], asked_by("admin first-admin"))
    except EmailTaken:
        remove(coming)
        raise Failure(
            f"there is no admin, and {FIRST_ADMIN} is another account;"
            " make one with: backroom admin create-user EMAIL --role admin"
        ) from None
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
