"""`backroom bench`, as an operator runs it."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping

import pytest
from rich.console import Console

from backroom.commerce.v1.catalog_service_pb2 import ListProductsRequest
from backroom.commerce.v1.inventory_service_pb2 import AdjustStockRequest, GetStockRequest
from backroom.commerce.v1.stock_pb2 import StockReason
from backroom.identity.v1 import accounts_pb2
from backroom.identity.v1.access_service_pb2 import CreateServiceAccountRequest
from load.sample import Sample
from load.totals import Checked
from server.cli.bench_report import print_checked, print_samples
from server.cli.bench_works import WORKS
from tests.fixtures.keys import MASTER_KEY
from tests.fixtures.processes import serving
from tests.fixtures.servers import Api, Running
from tests.process.commands import backroom, backroom_here, bare_environment

NOBODY = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:1", "BACKROOM_API_KEY": "brk_none"}


async def made_key(admin: Api) -> str:
    """The key of a new service account."""
    request = CreateServiceAccountRequest(service_account=accounts_pb2.ServiceAccount(name="bench", roles=["service"]))
    key: str = (await admin.access.CreateServiceAccount(request)).secret
    return key


@pytest.mark.slow
@pytest.mark.long
async def test_each_operation_has_a_row_and_the_totals_add_up(database_url: str) -> None:
    """Before the first call one line says what will be left behind."""
    async with serving(database_url) as server:
        settings = {"DATABASE_URL": database_url, "BACKROOM_MASTER_KEY": MASTER_KEY, "COLUMNS": "120"}
        words = ("bench", "--yes", "--seconds", "0.8", "--callers", "8", "--products", "20")
        ended = await backroom(*words, BACKROOM_GRPC_ADDRESS=server.address, **settings)
    assert ended.code == 0, ended.err
    first, head, *rows, last = ended.out.splitlines()
    assert first.startswith(f"{server.address} will be left with 20 products and their orders")
    assert head.split("  ")[0] == "work"
    assert [row.split()[0] for row in rows] == list(WORKS)
    for row in rows:
        _, _, p50, p99, p999, refused, failed, own = row.replace(",", "").split()
        assert 0 < float(p50) <= float(p99) <= float(p999)
        assert (refused, failed) == ("0", "0")
        assert float(own) > 0
    assert last.startswith("stock and orders add up: ")


@pytest.mark.slow
async def test_selected_operations_are_called_by_a_timetable(server: Running, admin: Api) -> None:
    """At the requested rate; the address and the key may be given."""
    words = (
        "bench",
        "--yes",
        "get-product",
        "place-hot",
        "--rate",
        "50",
        "--products",
        "5",
        "--address",
        server.address,
    )
    key, rates = await made_key(admin), [0.0]
    for seconds in ("0.5", "2", "8"):  # in the shortest, a busy machine may answer nothing
        if not all(rates):
            ended = await backroom(*words, "--seconds", seconds, BACKROOM_API_KEY=key)
            assert ended.code == 0, ended.err
            rows = [line.split() for line in ended.out.splitlines()[2:-1]]
            assert [row[0] for row in rows] == ["place-hot", "get-product"]
            rates = [float(row[1]) for row in rows]
    assert all(0 < rate < 100 for rate in rates)


@pytest.mark.slow
async def test_stock_that_does_not_add_up_is_reported_and_exits_with_1(server: Running, admin: Api) -> None:
    """Here because another caller receives a piece meanwhile."""
    settings = {"BACKROOM_API_KEY": await made_key(admin), "BACKROOM_GRPC_ADDRESS": server.address}
    words = ("bench", "--yes", "place-hot", "--seconds", "1", "--products", "2")
    benching = asyncio.create_task(backroom(*words, **settings))
    sku = ""
    async with asyncio.timeout(50):
        while not sku or not (await admin.inventory.GetStock(GetStockRequest(sku=sku))).stock.on_hand:
            await asyncio.sleep(0.05)
            found = (await admin.catalog.ListProducts(ListProductsRequest())).products
            sku = found[-1].sku if found else ""
    reason = StockReason.STOCK_REASON_RECEIVED
    await admin.inventory.AdjustStock(AdjustStockRequest(sku=sku, delta=1, reason=reason))
    ended = await benching
    assert ended.code == 1
    said = f"does not add up: {sku}: 1,000,000,001 are on hand, 1,000,000,000 were received"
    assert ended.out.splitlines()[-1] == said
    assert not ended.err


async def test_a_wrong_key_is_reported_in_one_line(server: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """In the server's own words."""
    settings = {"BACKROOM_API_KEY": "brk_none", "BACKROOM_GRPC_ADDRESS": server.address}
    ended = await asyncio.to_thread(backroom_here, capsys, "bench", "--yes", **settings)
    assert ended.code == 1
    said = "The credentials are wrong or expired, or the account may not sign in."
    assert ended.err == f"backroom: the bench ended early: UNAUTHENTICATED: {said}\n"


BAD: Mapping[str, tuple[tuple[str, ...], Mapping[str, str], str]] = {
    "no server there": (("--yes",), NOBODY, "no server answers on 127.0.0.1:1: "),
    "an unknown work": (("place-all",), NOBODY, "there is no work 'place-all'; the works are place-hot, place-two, "),
    "an address that is none": (("--address", "here"), NOBODY, "--address: must be host:port"),
    "a server elsewhere": (
        ("--address", "192.0.2.1:50051"),
        NOBODY,
        "a bench leaves products and orders on 192.0.2.1:50051, and 192.0.2.1:50051 is not on this machine: say --yes",
    ),
    "another folder's server": (
        (),
        NOBODY,
        "a bench leaves products and orders on 127.0.0.1:1, and the server on 127.0.0.1:1 does not use the ",
    ),
    "no authority": (
        ("--yes",),
        {**NOBODY, "BACKROOM_TLS_CA": "none.pem"},
        "BACKROOM_TLS_CA, BACKROOM_TLS_CALLER_CERTIFICATE: No such file",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_reported_in_one_line(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is written."""
    words, settings, said = BAD[what]
    ended = backroom_here(capsys, "bench", *words, **settings)
    assert ended.code == 1
    assert ended.err.startswith(f"backroom: {said}")
    assert ended.err.count("\n") == 1
    assert not ended.out


async def test_a_key_is_not_sent_to_another_server_than_the_settings_name(
    server: Running, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stored or created key belongs to the server that the settings name."""
    settings = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:1", "DATABASE_URL": database_url, "BACKROOM_MASTER_KEY": MASTER_KEY}
    ended = await asyncio.to_thread(backroom_here, capsys, "bench", "--yes", "--address", server.address, **settings)
    assert ended.code == 1
    assert ended.err.startswith("backroom: BACKROOM_API_KEY: is not set; ")


def test_a_number_out_of_bounds_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """It exits with 2, as for each command."""
    ended = backroom_here(capsys, "bench", "--callers", "0")
    assert ended.code == 2
    assert "--callers" in ended.err


def test_without_its_library_a_bench_says_what_to_install() -> None:
    """An installed server lacks the libraries that only a bench needs."""
    code = "import sys; sys.modules['hpack'] = None; from server.cli.app import main; main()"
    command = (sys.executable, "-P", "-c", code, "bench")
    ended = subprocess.run(command, env=bare_environment(), capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "backroom: bench: needs hpack, which is not installed: pip install hpack\n"


def test_failed_and_unanswered_calls_are_reported() -> None:
    """The most frequent failures by their text, and the rest by their number."""
    console = Console(record=True, width=120)
    failures = {f"Failed: INTERNAL: {number}": number for number in range(1, 8)}
    print_samples(console, {"place-hot": Sample(1.0, [], [0.001, 0.002], 2, failures, {"load": 0.5})})
    print_checked(console, Checked(3, 9, 2, 1))
    lines = console.export_text().splitlines()
    assert lines[1].split() == ["place-hot", "0", "-", "-", "-", "2", "28", "-"]
    assert lines[2:] == [
        *[f"place-hot failed: {number} x Failed: INTERNAL: {number}" for number in (7, 6, 5, 4, 3)],
        "place-hot failed: 3 x something else",
        "place-hot: 2 refusals did not say when to try again",
        "stock and orders add up: 3 orders, 9 pieces reserved",
        "2 calls had no answer; 1 of them placed their order",
    ]
