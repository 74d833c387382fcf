"""The files in the demo, against the real server."""

import pytest
from rich.console import Console

from replay.calling import NotShown
from replay.report import print_uploaded
from replay.uploading import upload_files
from storage.database import Database
from tests.fixtures.servers import running
from tests.replay.test_rollout import signed_in
from tests.replay.watched import row_counts

pytestmark = pytest.mark.slow


async def test_a_picture_is_uploaded_over_a_line_that_breaks(database: Database, database_url: str) -> None:
    """With the scanner none, it is said that nothing was scanned; a second time nothing is written anew."""
    console = Console(record=True, width=160)
    async with (
        running(database, jobs_on=database_url, files_scanner="none") as server,
        signed_in(server) as (client, _),
    ):
        first = await upload_files(client)
        before = row_counts(database_url)
        second = await upload_files(client)
        after = row_counts(database_url)
    assert first.complete
    assert first.thumbnail == (128, 96)
    assert second == first
    assert {name: count for name, count in after.items() if name.startswith("files.")} == {
        name: count for name, count in before.items() if name.startswith("files.")
    }
    print_uploaded(console, first)
    assert "nothing was scanned: BACKROOM_FILES_SCANNER is none" in console.export_text()


async def test_without_a_scanner_files_wait(database: Database, database_url: str) -> None:
    console = Console(record=True, width=160)
    async with running(database, jobs_on=database_url) as server, signed_in(server) as (client, _):
        uploaded = await upload_files(client)
    assert uploaded.complete
    assert uploaded.thumbnail is None
    print_uploaded(console, uploaded)
    assert "files wait, and none is served" in console.export_text()


async def test_where_the_server_has_no_files_it_is_said(database: Database) -> None:
    async with running(database, modules=("identity", "commerce")) as server, signed_in(server) as (client, _):
        with pytest.raises(NotShown, match="METHOD_UNKNOWN"):
            await upload_files(client)
