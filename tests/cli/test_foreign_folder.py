"""Commands in a folder that has a package `server` of its own still run Backroom."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.cli.foreign import imported_foreign_packages, put_foreign_packages
from tests.cli.test_serve import read
from tests.fixtures.keys import MASTER_KEY
from tests.process.commands import BACKROOM, bare_environment
from tests.replay.watched import row_counts

pytestmark = pytest.mark.slow

FREE = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:0", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:0"}
ONE_ORDER = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put_foreign_packages(tmp_path)
    (tmp_path / "one.csv").write_text(ONE_ORDER)
    return tmp_path


def run(folder: Path, url: str, *words: str, **settings: str) -> "subprocess.Popen[str]":
    environment = bare_environment(DATABASE_URL=url, BACKROOM_MASTER_KEY=MASTER_KEY, **settings)
    pipe = subprocess.PIPE
    return subprocess.Popen([BACKROOM, *words], cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


async def test_several_processes_serve(folder: Path, database_url: str) -> None:
    """Each of them is Backroom, and none is the folder's package."""
    with run(folder, database_url, "serve", "--workers", "2", **FREE) as process:
        assert process.stdout is not None
        try:
            await asyncio.wait_for(asyncio.to_thread(read, process.stdout, "by 2 workers"), 300)
            process.terminate()
            assert await asyncio.to_thread(process.wait, 60) == 0
        finally:
            process.kill()
    assert imported_foreign_packages(folder) == []


async def test_a_replay_starts_its_own_server(folder: Path, database_url: str) -> None:
    """It places the orders."""
    nobody = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:1"}
    with run(folder, database_url, "replay", "one.csv", "--yes", **nobody) as process:
        try:
            said, problem = await asyncio.to_thread(process.communicate, timeout=300)
        finally:
            process.kill()
    assert process.returncode == 0, said + problem
    assert row_counts(database_url)["commerce.orders"] == 1
    assert imported_foreign_packages(folder) == []
