"""The keys that sign tokens and derive secrets, changed on the database itself."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from server import settings
from server.cli.failure import Failure
from server.cli.master_key import master_keys, wrong
from server.cli.opened import migrated_database
from server.frame.errors import Refusal
from server.frame.sealing import MasterKeys, SealBroken, new_master_key
from server.identity.keys import MasterKeyWrong
from server.identity.service import KeyRotation, ListedKey
from server.webhooks.seals import SecretSeals
from server.webhooks.service import Sealing
from server.wiring.parts import now
from storage.database import Database
from storage.frame.records import NOBODY, Ask
from storage.identity.records import Key

Result = TypeVar("Result")

_WIDTHS = (16, 6, 9, 25, 25, 0)


def list_keys() -> None:
    async def listed(database: Database, keys: MasterKeys) -> Sequence[ListedKey]:
        return await KeyRotation(database, keys, now).list_all()

    _print_row("key", "use", "state", "active from", "taken until", "sealed by")
    for each in _on_the_database(listed):
        sealed_by = "an earlier master key: rotate" if each.resealing_due else "the first master key"
        times = map(_shown, (each.key.activate_time, each.end_time))
        _print_row(each.key.id, each.key.use, each.state.value, *times, sealed_by)


def rotate_keys(activate_after: float) -> None:
    async def rotated(database: Database, keys: MasterKeys) -> tuple[Sequence[Key], int]:
        rotation = KeyRotation(database, keys, now)
        made = await rotation.rotate(timedelta(seconds=activate_after), _ask("rotate"))
        return made, await Sealing(database, SecretSeals(keys)).seal()

    made, resealed = _on_the_database(rotated)
    for key in made:
        print(f"key {key.id} to {key.use}, active from {_shown(key.activate_time)}")
    if resealed:
        print(f"webhooks' secrets sealed by the first master key: {resealed}")


def revoke_key(key_id: str) -> None:
    async def revoked(database: Database, keys: MasterKeys) -> Sequence[Key]:
        return await KeyRotation(database, keys, now).revoke(key_id, _ask("revoke"))

    made = _on_the_database(revoked)
    print(f"key {key_id} is revoked: nothing that it made is taken any more")
    for key in made:
        print(f"key {key.id} to {key.use}, active from now on")


def print_master_key() -> None:
    print(new_master_key())


def _print_row(*cells: str) -> None:
    print("  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip())


def _ask(command: str) -> Ask:
    """What is recorded of it: who has the database and its keys is not asked for a name."""
    return Ask(NOBODY, f"backroom keys {command}", now())


def _shown(time: datetime | None) -> str:
    return time.isoformat(timespec="seconds") if time is not None else "-"


def _on_the_database(act: Callable[[Database, MasterKeys], Awaitable[Result]]) -> Result:
    configured = settings.read()
    keys = master_keys(configured)

    async def run() -> Result:
        async with migrated_database(configured, audit_key=keys.audit_key) as database:
            return await act(database, keys)

    try:
        return asyncio.run(run())
    except Refusal as refusal:
        raise Failure(refusal.message()) from None
    except (MasterKeyWrong, SealBroken):
        raise wrong(configured) from None
