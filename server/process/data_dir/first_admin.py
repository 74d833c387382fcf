"""The first admin of an embedded database, whose password is kept beside it."""

import json
import secrets
from pathlib import Path

from server.frame.module import now
from server.frame.sealing import MasterKeys
from server.identity.errors import EmailTaken
from server.identity.permissions import ADMIN
from server.identity.use_cases import Identity, build_identity
from server.modules import permissions
from server.process.data_dir.private_file import remove, stored_value, write_private
from server.process.failure import Failure
from storage.database import Database
from storage.frame.records import NOBODY, ChangeContext
from storage.identity.store import IDENTITY

FIRST_ADMIN = "admin@localhost"


async def ensure_first_admin(database: Database, keys: MasterKeys, data_dir: Path) -> str | None:
    """Makes an admin where there is none, keeps its password in admin.json, and returns it; None where there is one.

    What stands in admin.json signs in, whenever this is killed. Nobody else may do the same meanwhile. Raises Failure.
    """
    kept, coming = data_dir / "admin.json", data_dir / "admin.json.new"
    async with database.store(IDENTITY).reading() as reading:
        there_is_one = bool(await reading.accounts.list_people(role=ADMIN, after=None, limit=1))
    left = stored_value(coming, "password")
    if there_is_one and left is None:
        return None
    identity = build_identity(database.store(IDENTITY), keys, permissions())
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
        await identity.accounts.create(
            FIRST_ADMIN, password, "Admin", [ADMIN], ChangeContext(NOBODY, "backroom admin first-admin", now())
        )
    except EmailTaken:
        remove(coming)
        raise Failure(
            f"there is no admin, and {FIRST_ADMIN} is another account;"
            " make one with: backroom admin create-user EMAIL --role admin"
        ) from None
    return password


def random_password() -> str:
    return secrets.token_urlsafe(18)
