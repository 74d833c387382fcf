"""`backroom audit`: an operator reads and verifies the record."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from server.identity.service.anchoring import AnchorFile
from storage.database import Database
from storage.frame.records import NOBODY, AuditAnchor
from tests.fixtures.keys import MASTER_KEY
from tests.identity.records import BEGAN, auditing_on, entry, execute, head, recorded
from tests.process.commands import Finished, backroom_here

Audit = Callable[..., Awaitable[Finished]]


@pytest.fixture
def audit(capsys: pytest.CaptureFixture[str], database_url: str) -> Audit:
    """Runs `backroom audit` on the test's database."""

    async def run(*arguments: str) -> Finished:
        settings = {"DATABASE_URL": database_url, "BACKROOM_MASTER_KEY": MASTER_KEY, "COLUMNS": "300"}
        return await asyncio.to_thread(backroom_here, capsys, "audit", *arguments, **settings)

    return run


@pytest.fixture
async def chain(database: Database) -> Database:
    """Five events, sealed."""
    await recorded(database, *(entry(number) for number in range(4)), entry(4, caller_id=NOBODY, result="DENIED"))
    await auditing_on(database).seal()
    return database


async def test_a_valid_record_is_verified_and_its_end_is_printed(chain: Database, audit: Audit) -> None:
    """The printed end is accepted by --anchor."""
    end = await head(chain)
    found = await audit("verify")
    assert (found.code, found.err) == (0, "")
    assert found.out == f"the record is whole: 5 events, 0 anchors\nit ends at 5:{end.hash.hex()}\n"
    again = await audit("verify", "--anchor", found.out.split()[-1])
    assert (again.code, again.out.splitlines()[0]) == (0, "the record is whole: 5 events, 1 anchors")


async def test_the_first_bad_entry_is_reported_in_one_line(chain: Database, audit: Audit) -> None:
    """With its place and its number; the exit code is 1."""
    await execute(chain, "UPDATE frame.audit_entries SET address = '' WHERE resource IN ('thing/2', 'thing/3')")
    found = await audit("verify")
    assert (found.code, found.out) == (1, "")
    assert found.err == ("backroom: the record is not whole: position 3, event 3: the event is not what was written\n")


async def test_anchors_reveal_a_cut_tail(chain: Database, audit: Audit, tmp_path: Path) -> None:
    """Every one of the file's lines counts."""
    path = tmp_path / "anchors"
    await AnchorFile(path).keep(await head(chain), BEGAN)
    assert (await audit("verify", "--anchor-file", str(path))).code == 0
    cut = "USING frame.audit_seals AS seals WHERE seals.sequence = audit_entries.sequence AND position > 3"
    await execute(chain, f"DELETE FROM frame.audit_entries {cut}", "DELETE FROM frame.audit_seals WHERE position > 3")
    assert (await audit("verify")).code == 0
    found = await audit("verify", "--anchor-file", str(path))
    assert found.code == 1
    assert found.err.startswith("backroom: the record is not whole: position 4, event unknown: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--anchor", "5"), "--anchor: must be a position and a hash"),
        (("--anchor", f"0:{'0' * 64}"), "--anchor: must be a position and a hash"),
        (("--anchor-file", "/nowhere"), "--anchor-file: /nowhere cannot be read"),
    ],
)
async def test_an_invalid_anchor_is_refused(audit: Audit, arguments: tuple[str, ...], said: str) -> None:
    """Before the record is read."""
    found = await audit("verify", *arguments)
    assert found.code == 1
    assert found.err.startswith(f"backroom: {said}")


async def test_a_corrupted_anchor_file_is_refused_with_its_line(audit: Audit, tmp_path: Path) -> None:
    """It no longer proves anything."""
    path = tmp_path / "anchors"
    await AnchorFile(path).keep(AuditAnchor(1, bytes(32)), BEGAN)
    path.write_text(path.read_text() + "spoilt\n")
    found = await audit("verify", "--anchor-file", str(path))
    assert (found.code, found.err) == (1, "backroom: --anchor-file: line 2 is no anchor\n")


async def test_the_record_is_listed_latest_last(chain: Database, audit: Audit) -> None:
    """As the filters select."""
    await recorded(chain, entry(9, resource="not/sealed"))
    shown = (await audit("list")).out.splitlines()
    assert [line.split()[0] for line in shown] == ["1", "2", "3", "4", "5", "6"]
    assert "not/sealed" in shown[-1]
    [denied] = (await audit("list", "--result", "DENIED")).out.splitlines()
    assert denied.split()[:3] == ["5", "2026-05-04T03:02:05.123+00:00", "DENIED"]
    assert denied.endswith("sealed at 5")
    assert shown[-1].endswith("not sealed yet")
    of_action = (await audit("list", "--action", "backroom.test.v1.Test/Change4", "--limit", "1")).out
    assert [line.split()[0] for line in of_action.splitlines()] == ["6"]
    days = (await audit("list", "--from", "2026-05-04", "--to", "2026-05-04", "--resource", "thing/1")).out
    assert len(days.splitlines()) == 1
    assert (await audit("list", "--from", "2026-05-05")).out == ""
    refused = await audit("list", "--caller", "ada")
    assert (refused.code, refused.err) == (1, "backroom: --caller: 'ada' is no account's id\n")
