"""`backroom demo` and `backroom replay`, as an operator runs them."""

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fixtures.keys import MASTER_KEY
from tests.fixtures.sandbox import Sandbox
from tests.replay.watched import row_counts

pytestmark = pytest.mark.slow

PUBLISHED = (
    "articles published: 2, an article and its translation, together;"
    ' readers see revision 1 while 2 is being written; "creme brulee" finds 2 of 2'
)
FIGURES = [
    *("orders 136", "lines 3,081", "units 27,007", "revenue, GBP 58,960.79", "products sold 1,348"),
    "write-offs booked: 1, 10 units",
    "paid: 136 orders, 58,960.79 GBP",
    "returns: 1 of 6 invoices matched whole, 1 of 26 lines, 6 of 183 units; 25.50 GBP paid back",
    "not matched: 25 lines, 177 units never sold to that customer at that price before",
    "not replayed: 0 ledger adjustments",
    "delivery slots booked: 36 of 36 places, 3 in each of 12 slots, by 140 callers at once",
    "delivery slots refused: 84 x ALREADY_BOOKED, 20 x OUTSIDE_OPENING_HOURS",
    "tasks done: 12 of 12, by 36 moves over 3 columns, each with one entry in the activity",
    PUBLISHED,
    "events counted: 3,081, 58,960.79 GBP by hour",
    "file uploaded: a picture of 922,218 bytes, over a line that broke halfway; its thumbnail is 128 x 96 pixels",
    "nothing was scanned: BACKROOM_FILES_SCANNER is none, and files are served all the same",
]
SENT = "events sent: 3,081, an order line each, as of yesterday: {stored} stored, {known} known already"
WRITTEN_LATER = frozenset(f"events.{name}" for name in ("batches", "touched", "rollups", "meter_progress", "collected"))
"""What follows the events: when, and in how many rows, is the jobs' affair."""
ROLLED_OUT = [
    "flag evaluated: express-checkout at 10 %, on for 26 of 300 people",
    "flag grown: to 50 %, on for 155, among them 26 of the 26 who had it",
    "flag rolled back: on for 26, among them 26 of the first 26",
]
TRIED = [
    "flag evaluated: express-checkout, made by an earlier run, is on for 26 of 300 people",
    "flag tried: at 50 % it would be on for 155, among them 26 of the 26 who had it",
]


def backroom(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"BACKROOM_DATA_DIR": str(folder), "BACKROOM_GRPC_ADDRESS": "127.0.0.1:1", **environment}
    command = [sys.executable, "-m", "server", *words]
    return subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=300)


def lines_of(output: str) -> list[str]:
    """The lines, with single spaces between words."""
    return [" ".join(line.split()) for line in output.splitlines()]


def kept_rows(database_url: str) -> Mapping[str, int]:
    """How many rows each table has, but for what follows."""
    return {name: count for name, count in row_counts(database_url).items() if name not in WRITTEN_LATER}


@pytest.mark.long
async def test_the_demo_replays_the_real_day_and_a_second_run_changes_nothing(
    database_url: str, tmp_path: Path, shared_sandbox: Sandbox
) -> None:
    """Without a running server, the demo starts one; run again, it prints the same figures and adds no row."""
    paid = {
        "DATABASE_URL": database_url,
        "BACKROOM_MASTER_KEY": MASTER_KEY,
        "BACKROOM_PAYMENT_PROVIDER": "sandbox",
        "BACKROOM_SANDBOX_URL": shared_sandbox.url,
        "BACKROOM_SANDBOX_KEY": shared_sandbox.key,
        "BACKROOM_FILES_SCANNER": "none",
    }
    day = datetime.now(UTC).date()
    first = await asyncio.to_thread(backroom, "demo", "--yes", folder=tmp_path, **paid)
    assert first.returncode == 0, first.stderr
    assert set(FIGURES) <= set(lines_of(first.stdout))
    assert lines_of(first.stdout)[-3:] == ROLLED_OUT
    assert SENT.format(stored="3,081", known="0") in lines_of(first.stdout)
    counts = kept_rows(database_url)
    assert counts["events.events"] == 3081
    assert counts["commerce.orders"] == 136
    assert counts["commerce.order_lines"] == 3081
    assert (counts["commerce.payments"], counts["commerce.refunds"]) == (136, 1)
    assert counts["bookings.bookings"] == 36

    second = await asyncio.to_thread(backroom, "demo", "--yes", folder=tmp_path, **paid)
    assert second.returncode == 0, second.stderr
    assert set(FIGURES) <= set(lines_of(second.stdout))
    assert lines_of(second.stdout)[-2:] == TRIED
    if datetime.now(UTC).date() == day:  # after midnight it is another day's events that are sent
        assert SENT.format(stored="0", known="3,081") in lines_of(second.stdout)
        assert kept_rows(database_url) == counts
    for kept in ("replay.json", "replay-manager.json"):
        assert (tmp_path / kept).stat().st_mode & 0o777 == 0o600


def test_the_demo_says_that_the_database_is_not_migrated(postgres: str, tmp_path: Path) -> None:
    """It ends with one line that says what to do, and does not wait forever."""
    ended = backroom("demo", "--yes", folder=tmp_path, DATABASE_URL=postgres, BACKROOM_MASTER_KEY=MASTER_KEY)
    assert ended.returncode == 1
    assert "backroom migrate" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_missing_file_is_reported_in_one_line(tmp_path: Path) -> None:
    """The name of the file and the problem, before anything is started."""
    ended = backroom("replay", str(tmp_path / "none.csv"), folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "none.csv" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_invalid_day_is_reported_in_one_line(tmp_path: Path) -> None:
    """The option and its value."""
    ended = backroom("replay", "x.csv", "--from", "yesterday", folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == "backroom: --from: 'yesterday' is no day; write it as 2011-11-01\n"


def test_an_unreachable_database_is_reported_in_one_line(tmp_path: Path) -> None:
    """The demo gives its own server up as soon as that says why it is not ready."""
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    ended = backroom("demo", "--yes", folder=tmp_path, DATABASE_URL=nowhere, BACKROOM_MASTER_KEY=MASTER_KEY)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("backroom: the server that was started is not ready: DATABASE_URL: ")
    assert "Connection refused; start PostgreSQL there" in line


def test_nothing_is_written_without_confirmation(tmp_path: Path) -> None:
    """Without a terminal, into a database that is not this folder's: one line with the reason."""
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    ended = backroom("demo", folder=tmp_path, DATABASE_URL=nowhere, BACKROOM_MASTER_KEY=MASTER_KEY)
    shown = "products, orders, payments, bookings, tasks, articles, events, files and a flag"
    said = f"this writes {shown} through a server of its own"
    reason = "DATABASE_URL is set: the database is not the embedded one"
    assert (ended.returncode, ended.stderr) == (1, f"backroom: {said}, and {reason}: say --yes\n")


def test_an_operator_confirms_at_a_terminal(tmp_path: Path) -> None:
    """With each reason; any answer but yes writes nothing."""
    settings = {"BACKROOM_ENVIRONMENT": "production", "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    code, screen = at_a_terminal("demo", typed=b"n\n", folder=tmp_path, **settings)
    assert code == 1
    assert "- BACKROOM_ENVIRONMENT is production" in screen
    assert "- DATABASE_URL is set: the database is not the embedded one" in screen
    assert "Go on? [y/N]: " in screen
    assert screen.endswith("backroom: nothing was written\r\n")


def at_a_terminal(*words: str, typed: bytes, folder: Path, **environment: str) -> tuple[int, str]:
    """The exit code of a command at a terminal with this input, and its output."""
    ours, theirs = pty.openpty()
    settings = {"BACKROOM_DATA_DIR": str(folder), "BACKROOM_GRPC_ADDRESS": "127.0.0.1:1", **environment}
    command = [sys.executable, "-m", "server", *words]
    with subprocess.Popen(
        command, env={**os.environ, **settings}, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        os.write(ours, typed)
        screen = b""
        with suppress(OSError):  # the terminal's end, once no process writes to it any more
            while read := os.read(ours, 4096):
                screen += read
        code = process.wait(60)
    os.close(ours)
    return code, screen.decode()
