"""The keys that sign tokens and derive secrets, changed on the database itself."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from server.cli.database_changes import change_database, command_context
from server.cli.document import print_document
from server.frame.module import now
from server.frame.sealing import MasterKeys, new_master_key
from server.identity.service import KeyRotation, ListedKey
from server.webhooks.seals import SecretSeals
from server.webhooks.service import Sealing
from storage.database import Database
from storage.identity.records import Key
from storage.identity.store import IDENTITY
from storage.webhooks.store import WEBHOOKS

_WIDTHS = (16, 6, 9, 25, 25, 0)


def list_keys(*, as_json: bool = False) -> None:
    async def listed(database: Database, keys: MasterKeys) -> Sequence[ListedKey]:
        return await KeyRotation(database.store(IDENTITY), keys, now).list_all()

    found = asyncio.run(change_database(listed))
    if as_json:
        print_document({"keys": [_described(each) for each in found]})
        return
    _print_row("key", "use", "state", "active from", "taken until", "sealed by")
    for each in found:
        sealed_by = "an earlier master key: rotate" if each.resealing_due else "the first master key"
        times = map(_shown, (each.key.activate_time, each.end_time))
        _print_row(each.key.id, each.key.use, each.state.value, *times, sealed_by)


def _described(each: ListedKey) -> Mapping[str, object]:
    times = {"activate_time": each.key.activate_time, "end_time": each.end_time}
    return {
        "id": each.key.id,
        "use": each.key.use,
        "state": each.state.value,
        **times,
        "resealing_due": each.resealing_due,
    }


def rotate_keys(activate_after: float) -> None:
    async def rotated(database: Database, keys: MasterKeys) -> tuple[Sequence[Key], int]:
        rotation = KeyRotation(database.store(IDENTITY), keys, now)
        made = await rotation.rotate(timedelta(seconds=activate_after), command_context("keys rotate"))
        return made, await Sealing(database.store(WEBHOOKS), SecretSeals(keys)).seal()

    made, resealed = asyncio.run(change_database(rotated))
    for key in made:
        print(f"key {key.id} to {key.use}, active from {_shown(key.activate_time)}")
    if resealed:
        print(f"webhooks' secrets sealed by the first master key: {resealed}")


def revoke_key(key_id: str) -> None:
    async def revoked(database: Database, keys: MasterKeys) -> Sequence[Key]:
        return await KeyRotation(database.store(IDENTITY), keys, now).revoke(key_id, command_context("keys revoke"))

    made = asyncio.run(change_database(revoked))
    print(f"key {key_id} is revoked: nothing that it made is taken any more")
    for key in made:
        print(f"key {key.id} to {key.use}, active from now on")


def print_master_key() -> None:
    print(new_master_key())


def _print_row(*cells: str) -> None:
    print("  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip())


def _shown(time: datetime | None) -> str:
    return time.isoformat(timespec="seconds") if time is not None else "-"
