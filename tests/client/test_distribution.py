"""backroom-client as a user installs it: built, installed with an application, type-checked and called."""

import asyncio
import os
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import ZipFile

import pytest

from backroom.commerce.v1.order_service_pb2 import GetOrderRequest
from backroom.identity.v1 import accounts_pb2
from backroom.identity.v1.access_service_pb2 import CreateServiceAccountRequest
from tests.commerce.goods import stocked
from tests.fixtures.servers import Api, Running

ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / "client"
APPLICATION = {
    "client/__init__.py": 'REFERENCE = "1001"\n',
    "server/__init__.py": 'SKU = "TEA"\n',
    "shop.py": """
import asyncio
import sys

from backroom.commerce.v1.order_service_pb2 import LineItem, PlaceOrderRequest
from backroom_client import AsyncBackroom, Key

from client import REFERENCE
from server import SKU


async def place(address: str, key: str) -> str:
    async with AsyncBackroom(address, Key(key)) as backroom:
        request = PlaceOrderRequest(reference=REFERENCE, lines=[LineItem(sku=SKU, quantity=2)])
        placed = await backroom.orders.PlaceOrder(request)
        return placed.order.order_id


print(asyncio.run(place(*sys.argv[1:])))
""",
}
MISTAKES = """
from backroom.commerce.v1.order_service_pb2 import LineItem, PlaceOrderRequest
from backroom_client import Backroom

LineItem(sku="TEA", quantity="two")
with Backroom("127.0.0.1:50051") as backroom:
    total: int = backroom.orders.PlaceOrder(PlaceOrderRequest()).order.order_id
"""


def run(*command: str | Path, cwd: Path) -> str:
    """A command's output; a failure shows all of it. Neither this checkout nor its environment is on its path."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def built(source: Path, into: Path) -> Path:
    """The wheel of a folder or a source distribution."""
    into.mkdir()
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", source, cwd=into)
    (wheel,) = into.glob("*.whl")
    return wheel


def source_distribution(source: Path, into: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", into, cwd=source)
    (archive,) = into.glob("*.tar.gz")
    return archive


def packed(wheel: Path) -> set[str]:
    """The files that it installs, without its metadata."""
    return {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}


def metadata(wheel: Path) -> list[str]:
    archive = ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    return archive.read(name).decode().splitlines()


@dataclass(frozen=True)
class Caller:
    """An application in an environment with only the client installed."""

    folder: Path
    python: Path


@pytest.fixture(scope="module")
def client_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(CLIENT, tmp_path_factory.mktemp("client") / "dist")


@pytest.fixture(scope="module")
def caller(client_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Caller:
    """It has its own folders named client and server."""
    folder = tmp_path_factory.mktemp("caller")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", f"{client_wheel}[types]", cwd=folder)
    write(folder / "shop", APPLICATION)
    return Caller(folder / "shop", python)


def mypy(caller: Caller, *options: str | Path) -> list[str | Path]:
    """The tests' mypy, which sees only the caller's packages."""
    checked = ("--strict", "--python-executable", caller.python, "--cache-dir", caller.folder.parent / "cache")
    return [sys.executable, "-m", "mypy", *checked, *options]


@pytest.mark.distribution
async def test_an_application_with_a_client_and_a_server_of_its_own_places_an_order(
    caller: Caller, server: Running, admin: Api
) -> None:
    """It installed the client, and nothing of the server."""
    await stocked(admin, "TEA", 5)
    account = CreateServiceAccountRequest(
        service_account=accounts_pb2.ServiceAccount(name=f"shop-{uuid4()}", roles=["service"])
    )
    key = (await admin.access.CreateServiceAccount(account)).secret
    command = (caller.python, "shop.py", server.address, key)
    order_id = (await asyncio.to_thread(run, *command, cwd=caller.folder)).strip()
    order = (await admin.orders.GetOrder(GetOrderRequest(order_id=order_id))).order
    assert (order.reference, [(line.sku, line.quantity) for line in order.lines]) == ("1001", [("TEA", 2)])


@pytest.mark.distribution
def test_an_application_is_checked_against_the_types_of_the_client_and_the_contract(caller: Caller) -> None:
    """A message's fields and a method's response have types; a wrong use is reported."""
    run(*mypy(caller, "shop.py"), cwd=caller.folder)
    write(caller.folder.parent, {"mistakes.py": MISTAKES})
    found = subprocess.run(mypy(caller, "mistakes.py"), cwd=caller.folder.parent, capture_output=True, text=True)
    errors = [line for line in found.stdout.splitlines() if ": error: " in line]
    assert [line.split(":")[1] for line in errors] == ["5", "7"], found.stdout + found.stderr


@pytest.mark.distribution
def test_the_source_distributions_build_what_the_checkout_builds(client_wheel: Path, tmp_path: Path) -> None:
    """The client's contains the contract; the server's names the client by its version, a checkout's by its folder."""
    again = built(source_distribution(CLIENT, tmp_path), tmp_path / "client")
    assert packed(again) == packed(client_wheel)
    here = built(ROOT, tmp_path / "here")
    there = built(source_distribution(ROOT, tmp_path / "source"), tmp_path / "there")
    assert packed(here) == packed(there)
    assert f"Requires-Dist: backroom-client @ {CLIENT.as_uri()}" in metadata(here)
    assert f"Requires-Dist: backroom-client=={project(CLIENT)['version']}" in metadata(there)


@pytest.mark.distribution
def test_no_file_belongs_to_both_distributions(client_wheel: Path, tmp_path: Path) -> None:
    """Only the client has the stubs, and its license is included."""
    server_wheel = built(ROOT, tmp_path / "dist")
    assert not packed(server_wheel) & packed(client_wheel)
    assert {name.partition("/")[0] for name in packed(client_wheel)} == {"backroom", "backroom_client", "buf", "flagd"}
    for wheel in (server_wheel, client_wheel):
        assert "License-Expression: Apache-2.0" in metadata(wheel)
        assert any(name.endswith("/licenses/LICENSE") for name in ZipFile(wheel).namelist())


def project(folder: Path) -> dict[str, Any]:
    declared: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return declared


def test_both_distributions_have_one_version_and_one_license() -> None:
    """A server requires the client of its own contract."""
    version = project(CLIENT)["version"]
    assert project(ROOT)["version"] == version
    assert f"backroom-client=={version}" in project(ROOT)["dependencies"]
    assert (ROOT / "LICENSE").read_text() == (CLIENT / "LICENSE").read_text()


def test_the_client_requires_version_ranges() -> None:
    """An application has other dependencies, which need their own versions of gRPC and protobuf."""
    for each in project(CLIENT)["dependencies"]:
        assert re.fullmatch(r"[a-z-]+>=[\d.]+,<\d+", each)
