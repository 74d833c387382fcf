"""A start as in the README: without any setup, it prints calls that can be pasted."""

import asyncio
import json
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import grpc
import httpx
import pytest

from backroom.identity.v1 import identity_service_pb2
from storage.embedded import running_url
from tests.cli.foreign import imported_foreign_packages, put_foreign_packages
from tests.contract.methods import SERVICES
from tests.fixtures.servers import Api
from tests.process.commands import BACKROOM, bare_environment
from tests.process.papers import authority, files_in, issued

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Start:
    """One `backroom serve` on the embedded database, after it has ended."""

    text: str
    seconds: float
    """The start time that it printed."""
    admin: str
    """The content of admin.json while it ran."""
    modes: set[int]
    """Of the files that hold its secrets."""
    signed_in: str
    """The account that the password in admin.json signed in."""
    answered: str
    """The responses to the pasted calls for buf."""
    about: tuple[httpx.Response, httpx.Response]
    """The responses to GET / and HEAD /."""
    code: int | None


async def start(folder: Path, ca: Path | None = None, **settings: str) -> Start:
    """Starts it, waits for all of its output, inspects it, and stops it as Ctrl-C does."""
    began = time.monotonic()
    with serve(folder, **settings) as process:
        assert process.stdout is not None
        try:
            said = await asyncio.wait_for(asyncio.to_thread(read, process.stdout, "replays one real day"), 300)
            seconds = time.monotonic() - began
            admin = folder / ".backroom" / "admin.json"
            signed_in = await signed_in_by(said, ca, **json.loads(admin.read_text()))
            answered = await asyncio.to_thread(pasted, calls_of(said, "buf"), folder)
            about = await asyncio.to_thread(about_of, said)
            process.send_signal(signal.SIGINT)
            said += await asyncio.wait_for(asyncio.to_thread(process.stdout.read), 300)
            code = await asyncio.to_thread(process.wait, 60)
        finally:
            process.kill()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (admin, admin.with_name("master.key"))}
    return Start(said, seconds, admin.read_text(), modes, signed_in, answered, about, code)


def serve(folder: Path, **settings: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [BACKROOM, "serve"],
        cwd=folder,
        env=bare_environment(BACKROOM_GRPC_ADDRESS="127.0.0.1:0", BACKROOM_HTTP_ADDRESS="127.0.0.1:0", **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def read(stream: IO[str], until: str) -> str:
    """The output up to the line that contains this."""
    lines: list[str] = []
    while not lines or (until not in lines[-1] and lines[-1]):
        lines.append(stream.readline())
    return "".join(lines)


def calls_of(said: str, tool: str) -> list[str]:
    """The lines to paste for a tool: those between their heading and the next blank line."""
    introduced = {"buf": "Calls to paste:\n\n", "grpcurl": "The same with grpcurl:\n\n"}[tool]
    return [line.strip() for line in said.partition(introduced)[2].partition("\n\n")[0].splitlines()]


def pasted(lines: list[str], folder: Path) -> str:
    """The output of a shell in the server's folder for these lines, which must all succeed."""
    shell = subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=folder, capture_output=True, text=True, timeout=300)  # noqa: S607
    assert shell.returncode == 0, shell.stderr
    return shell.stdout


async def signed_in_by(said: str, ca: Path | None = None, *, email: str, password: str) -> str:
    """Signs in at the printed address, and returns the account."""
    address = re.search(r"gRPC on (\S+:\d+)", said)
    assert address
    async with channel_to(address[1], ca) as channel:
        login = identity_service_pb2.LoginRequest(email=email, password=password)
        tokens = (await Api(channel).identity.Login(login)).tokens
        me = await Api(channel, tokens.access_token).identity.GetMe(identity_service_pb2.GetMeRequest())
    return f"{me.user.email}: {', '.join(me.user.roles)}"


def channel_to(address: str, ca: Path | None) -> grpc.aio.Channel:
    if ca is None:
        return grpc.aio.insecure_channel(address)
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(ca.read_bytes()))


def about_of(said: str) -> tuple[httpx.Response, httpx.Response]:
    """The response of the HTTP side's root at the printed address."""
    address = re.search(r"HTTP on (\S+:\d+)", said)
    assert address
    with httpx.Client(base_url=f"http://{address[1]}", trust_env=False) as client:
        return client.get("/"), client.head("/")


@dataclass(frozen=True)
class Starts:
    """A first start and a second one, with TLS, in one folder, which has a package `server` of its own."""

    folder: Path
    first: Start
    second: Start


@pytest.fixture(scope="module")
async def starts() -> AsyncIterator[Starts]:
    folder = Path(tempfile.mkdtemp(prefix="backroom-first-"))
    put_foreign_packages(folder)
    files, ca = files_in(folder), folder / "ca.pem"
    issuer = authority()
    files.hold(issued(issuer))
    ca.write_bytes(issuer.pem)
    tls = {"BACKROOM_TLS_CERTIFICATE": str(files.certificate), "BACKROOM_TLS_KEY": str(files.key)}
    try:
        first = await start(folder)
        second = await start(folder, ca, BACKROOM_TLS_CA=str(ca), BACKROOM_REFLECTION="true", **tls)
        yield Starts(folder, first, second)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def test_the_first_start_creates_an_admin_whose_password_signs_in(starts: Starts) -> None:
    """It is in a file that only its owner may read, like the master key, and is not printed."""
    assert starts.first.signed_in == "admin@localhost: admin"
    assert starts.first.modes == {0o600}
    assert "An admin was made, admin@localhost; the password is kept in .backroom/admin.json." in starts.first.text
    assert json.loads(starts.first.admin)["password"] not in starts.first.text


async def test_every_start_prints_calls_first_for_buf_then_for_grpcurl(starts: Starts) -> None:
    """One that signs in with the password file, and two that use the token; with TLS if the server has it."""
    methods = ["IdentityService/Login", "IdentityService/GetMe", "CatalogService/ListProducts"]
    for said, flag in ((starts.first.text, "-plaintext"), (starts.second.text, f"-cacert {starts.folder}/ca.pem")):
        function, *by_buf = calls_of(said, "buf")
        by_grpcurl = calls_of(said, "grpcurl")
        assert said.index(function) < said.index(by_grpcurl[0])
        for calls in (by_buf, by_grpcurl):
            assert all(method in call for method, call in zip(methods, calls, strict=True))
            assert ".backroom/admin.json" in calls[0]
        assert all(flag in call for call in by_grpcurl)


async def test_the_calls_can_be_pasted(starts: Starts) -> None:
    """In a shell in the server's folder, those for buf return the caller and the products: none yet."""
    for each in (starts.first, starts.second):
        me, products = each.answered.rsplit("{", 1)
        assert json.loads(me)["user"]["email"] == "admin@localhost"
        assert json.loads(f"{{{products}") == {}


@pytest.mark.parametrize(
    "answer",
    ['{\n  "tokens": {\n    "accessToken": "ey.J0",\n    "refreshToken": "r"', '  "access_token": "ey.J0",\n  "x": 1'],
    ids=["buf, and grpcurl from 1.8.7 on", "grpcurl 1.8.6"],
)
async def test_the_token_is_extracted_however_a_tool_formats_its_output(starts: Starts, answer: str) -> None:
    """By the printed recipe for either tool."""
    for tool in ("buf", "grpcurl"):
        (login,) = (call for call in calls_of(starts.first.text, tool) if call.startswith("TOKEN="))
        recipe = login.removesuffix(")").partition(" | ")[2]
        assert filtered(recipe, answer) == "ey.J0\n"


def filtered(recipe: str, text: str) -> str:
    """The output of a shell filter for a text."""
    return subprocess.run(["sh", "-c", recipe], input=text, capture_output=True, text=True).stdout  # noqa: S607


async def test_a_start_prints_how_long_it_took(starts: Starts) -> None:
    """From the start of the process, including its imports and the database."""
    for each in (starts.first, starts.second):
        said = re.search(r", after (\d+\.\d) s\. Ctrl-C stops it\.", each.text)
        assert said
        assert 0.2 < float(said[1]) <= each.seconds + 0.1


async def test_the_second_start_neither_prints_nor_changes_the_password(starts: Starts) -> None:
    """The admin exists, and signs in as before."""
    assert starts.second.admin == starts.first.admin
    assert starts.second.signed_in == "admin@localhost: admin"
    assert json.loads(starts.first.admin)["password"] not in starts.second.text
    assert "An admin was made" not in starts.second.text


async def test_the_http_root_names_the_server_and_its_paths(starts: Starts) -> None:
    """In plain text, with the version, all services and the paths; HEAD has the same headers, without the text."""
    got, head = starts.first.about
    assert (got.status_code, got.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert got.text.startswith("Backroom ")
    for path in ("/healthz", "/readyz", "/metrics", "/.well-known/jwks.json"):
        assert f"  {path} " in got.text
    for line in ("/webhooks/{source}", "/articles/{language}/{slug}", *(each.full_name for each in SERVICES)):
        assert f"\n  {line}\n" in got.text
    assert "grpc.reflection" in got.text
    assert (head.status_code, head.text, head.headers["content-length"]) == (200, "", got.headers["content-length"])


async def test_ctrl_c_ends_the_server_and_its_database(starts: Starts) -> None:
    """With exit code 0; no process is left."""
    assert (starts.first.code, starts.second.code) == (0, 0)
    assert running_url(starts.folder / ".backroom" / "postgres") is None


async def test_a_package_of_the_same_name_in_the_current_folder_is_not_run(starts: Starts) -> None:
    """Neither by the server nor by the sandbox that it starts."""
    assert imported_foreign_packages(starts.folder) == []
