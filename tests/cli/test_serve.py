"""The first start, as the README has it: nothing is installed or set up, and three calls can be pasted."""

import asyncio
import json
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import grpc
import pytest

from backroom.identity.v1 import identity_service_pb2
from storage.embedded import running_url
from tests.fixtures.servers import Api
from tests.serving.commands import BACKROOM, bare_environment

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Start:
    """One `backroom serve` on the embedded database, once it has ended."""

    said: str
    admin: str
    """What admin.json held while it ran."""
    modes: set[int]
    """Of the files that hold its secrets."""
    signed_in: str
    """Whom the password in admin.json signed in."""
    answered: str
    """What the calls to paste for buf answered; nothing where none were printed."""
    code: int | None


async def start(folder: Path, *, until: str) -> Start:
    """Starts it, waits until it has said this much, looks around, and stops it as Ctrl-C does."""
    with serve(folder) as process:
        assert process.stdout is not None
        try:
            said = await asyncio.wait_for(asyncio.to_thread(read, process.stdout, until), 60)
            admin = folder / ".backroom" / "admin.json"
            signed_in = await signed_in_by(said, **json.loads(admin.read_text()))
            answered = await asyncio.to_thread(pasted, calls_of(said, "buf"))
            process.send_signal(signal.SIGINT)
            said += await asyncio.wait_for(asyncio.to_thread(process.stdout.read), 60)
            code = await asyncio.to_thread(process.wait, 60)
        finally:
            process.kill()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (admin, admin.with_name("master.key"))}
    return Start(said, admin.read_text(), modes, signed_in, answered, code)


def serve(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [BACKROOM, "serve"],
        cwd=folder,
        env=bare_environment(BACKROOM_GRPC_ADDRESS="127.0.0.1:0", BACKROOM_HTTP_ADDRESS="127.0.0.1:0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def read(stream: IO[str], until: str) -> str:
    """The lines up to the one that holds this."""
    lines: list[str] = []
    while not lines or (until not in lines[-1] and lines[-1]):
        lines.append(stream.readline())
    return "".join(lines)


def calls_of(said: str, tool: str) -> list[str]:
    """The calls that were printed for a tool."""
    return [line.strip() for line in said.splitlines() if re.match(rf" *(TOKEN=\$\()?(\.venv/bin/)?{tool} ", line)]


def pasted(lines: list[str]) -> str:
    """What a shell in the checkout prints for these lines, which must all succeed."""
    shell = subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True, timeout=60)  # noqa: S607
    assert shell.returncode == 0, shell.stderr
    return shell.stdout


async def signed_in_by(said: str, *, email: str, password: str) -> str:
    """Signs in at the address that was printed, and returns who that is."""
    address = re.search(r"gRPC on (\S+:\d+)", said)
    assert address
    async with grpc.aio.insecure_channel(address[1]) as channel:
        login = identity_service_pb2.LoginRequest(email=email, password=password)
        tokens = (await Api(channel).identity.Login(login)).tokens
        me = await Api(channel, tokens.access_token).identity.GetMe(identity_service_pb2.GetMeRequest())
    return f"{me.user.email}: {', '.join(me.user.roles)}"


@dataclass(frozen=True)
class Starts:
    """A first start and a second one, in one folder."""

    folder: Path
    first: Start
    second: Start


@pytest.fixture(scope="module")
async def starts() -> AsyncIterator[Starts]:
    folder = Path(tempfile.mkdtemp(prefix="backroom-first-"))
    try:
        first = await start(folder, until="replays one real day")
        second = await start(folder, until="Ctrl-C stops it.")
        yield Starts(folder, first, second)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def test_the_first_start_makes_an_admin_whose_password_signs_in(starts: Starts) -> None:
    """It is kept in a file that nobody else may read, and so is the master key."""
    assert starts.first.signed_in == "admin@localhost: admin"
    assert starts.first.modes == {0o600}
    assert json.loads(starts.first.admin)["password"] in starts.first.said


async def test_the_first_start_prints_three_calls_for_grpcurl_and_for_buf(starts: Starts) -> None:
    """One that signs in and two that use the token, the same three for either tool."""
    methods = ["IdentityService/Login", "IdentityService/GetMe", "CatalogService/ListProducts"]
    for tool in ("grpcurl", "buf"):
        calls = calls_of(starts.first.said, tool)
        assert len(calls) == 3
        assert all(method in call for method, call in zip(methods, calls, strict=True))


async def test_the_calls_can_be_pasted(starts: Starts) -> None:
    """In a shell in the checkout, those for buf answer who the caller is and what is sold, which is nothing yet."""
    me, products = starts.first.answered.rsplit("{", 1)
    assert json.loads(me)["user"]["email"] == "admin@localhost"
    assert json.loads(f"{{{products}") == {}


async def test_the_second_start_prints_and_changes_no_password(starts: Starts) -> None:
    """The admin is there, and signs in as before."""
    assert starts.second.admin == starts.first.admin
    assert starts.second.signed_in == "admin@localhost: admin"
    assert json.loads(starts.first.admin)["password"] not in starts.second.said
    assert calls_of(starts.second.said, "buf") == calls_of(starts.second.said, "grpcurl") == []


async def test_ctrl_c_ends_the_server_and_its_database(starts: Starts) -> None:
    """With exit code 0; nothing is left running."""
    assert (starts.first.code, starts.second.code) == (0, 0)
    assert running_url(starts.folder / ".backroom" / "postgres") is None
