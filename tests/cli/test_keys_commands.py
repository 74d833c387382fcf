"""`backroom keys`, directly on the database."""

import asyncio
import base64
import re
from collections.abc import Mapping

import pytest

from server.frame.module import now
from server.frame.sealing import MasterKeys, read_master_key
from server.identity.credentials.keys import KeyRing
from storage.database import Database
from storage.identity.store import IDENTITY
from tests.fixtures.keys import MASTER_KEY, MASTER_KEYS
from tests.process.commands import Finished, backroom, backroom_here

OTHER = base64.b64encode(bytes(range(32, 64))).decode()
MADE = r"key ([0-9a-f]{16}) to (sign|derive), active from (\S+)"


def given(url: str, master_key: str = MASTER_KEY) -> Mapping[str, str]:
    return {"DATABASE_URL": url, "BACKROOM_MASTER_KEY": master_key}


def published(url: str, master_keys: MasterKeys = MASTER_KEYS) -> list[str]:
    """The ids of the keys that a server of this database publishes."""

    async def read() -> list[str]:
        database = Database(url, pool_size=2)
        try:
            return [key["kid"] for key in (await KeyRing(database.store(IDENTITY), master_keys, now).jwks())["keys"]]
        finally:
            await database.close()

    return asyncio.run(read())


def listed(finished: Finished) -> dict[str, list[str]]:
    """The listing of each key, by its id."""
    assert (finished.code, finished.err) == (0, "")
    rows = [line.split() for line in finished.out.splitlines()[1:]]
    return {row[0]: row[1:] for row in rows}


def test_a_master_key_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A new one each time, in the setting's format; no database is needed."""
    made = [backroom_here(capsys, "keys", "new-master-key") for _ in range(2)]
    assert [(each.code, each.err) for each in made] == [(0, "")] * 2
    assert len({read_master_key(each.out) for each in made}) == 2


def test_keys_are_rotated_and_listed(capsys: pytest.CaptureFixture[str], database_url: str) -> None:
    """The new ones are listed immediately, and become active after ten minutes, or as requested."""
    (first,) = published(database_url)
    finished = backroom_here(capsys, "keys", "rotate", **given(database_url))
    assert (finished.code, finished.err) == (0, "")
    (second, use, _), (_, other_use, _) = re.findall(MADE, finished.out)
    assert (use, other_use) == ("sign", "derive")
    assert set(published(database_url)) == {first, second}
    rows = listed(backroom_here(capsys, "keys", "list", **given(database_url)))
    assert (rows[first][:2], rows[second][:2]) == (["sign", "active"], ["sign", "next"])
    backroom_here(capsys, "keys", "rotate", "--activate-after", "2", **given(database_url))
    for seconds in ("1", "-5", "x"):
        refused = backroom_here(capsys, "keys", "rotate", "--activate-after", seconds, **given(database_url))
        assert (refused.code, refused.out) == (2, "")
    assert len(published(database_url)) == 3


def test_a_key_is_revoked(capsys: pytest.CaptureFixture[str], database_url: str) -> None:
    """It is no longer published, another takes its place, and an unknown one is reported in one line."""
    (leaked,) = published(database_url)
    finished = backroom_here(capsys, "keys", "revoke", leaked, **given(database_url))
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.splitlines()[0] == f"key {leaked} is revoked: nothing that it made is taken any more"
    (new,) = published(database_url)
    assert new != leaked
    assert new in finished.out
    refused = backroom_here(capsys, "keys", "revoke", "f" * 16, **given(database_url))
    assert (refused.code, refused.out, refused.err) == (1, "", f"backroom: No key has the id {'f' * 16}.\n")


def test_the_master_key_is_changed(capsys: pytest.CaptureFixture[str], database_url: str) -> None:
    """Listed before the old one, it seals everything at the next rotation, and the old one can be removed."""
    (first,) = published(database_url)
    alone = backroom_here(capsys, "keys", "rotate", **given(database_url, OTHER))
    assert (alone.code, alone.out) == (1, "")
    assert alone.err.startswith("backroom: BACKROOM_MASTER_KEY: does not open")
    assert len(alone.err.splitlines()) == 1
    both = given(database_url, f"{OTHER},{MASTER_KEY}")
    assert "an earlier master key" in backroom_here(capsys, "keys", "list", **both).out
    assert backroom_here(capsys, "keys", "rotate", **both).code == 0
    assert "an earlier master key" not in backroom_here(capsys, "keys", "list", **given(database_url, OTHER)).out
    assert first in published(database_url, MasterKeys([read_master_key(OTHER)]))


@pytest.mark.slow
async def test_a_server_with_another_master_key_does_not_start(database_url: str, database: Database) -> None:
    """Its one line names the wrong setting; so does a worker's."""
    await KeyRing(database.store(IDENTITY), MASTER_KEYS, now).load()
    here = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:0", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:0", "LOG_LEVEL": "ERROR"}
    for command in ("serve", "worker"):
        finished = await backroom(command, **given(database_url, OTHER), **here)
        assert finished.code == 1
        (line,) = finished.err.splitlines()
        assert line.startswith("backroom: BACKROOM_MASTER_KEY: does not open")
