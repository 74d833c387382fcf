"""Accounts created directly in the database."""

import asyncio
import re
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import pytest

from backroom.identity.v1 import access_service_pb2, identity_service_pb2
from server.frame.module import now
from server.frame.sealing import new_master_key
from server.identity.errors import CredentialsInvalid
from server.identity.service import SignedIn
from server.identity.use_cases import Identity, build_identity
from server.modules import permissions
from storage.database import Database
from storage.frame.records import NOBODY, ChangeContext
from storage.identity.store import IDENTITY
from tests.fixtures.keys import MASTER_KEY, MASTER_KEYS
from tests.fixtures.servers import Running
from tests.process.commands import backroom_here

EMAIL = "Ada@Example.com"
NOBODY_HOME = "postgresql://postgres:hunter2@/backroom?host=/nonexistent"

Result = TypeVar("Result")


def on(url: str, act: Callable[[Identity], Awaitable[Result]]) -> Result:
    """Runs the use cases on a database."""

    async def run() -> Result:
        database = Database(url, audit_key=MASTER_KEYS.audit_key, pool_size=2)
        identity = build_identity(database.store(IDENTITY), MASTER_KEYS, permissions())
        try:
            return await act(identity)
        finally:
            identity.passwords.close()
            await database.close()

    return asyncio.run(run())


def given_here(url: str) -> Mapping[str, str]:
    """The commands' settings for this database."""
    return {"DATABASE_URL": url, "BACKROOM_MASTER_KEY": MASTER_KEY}


def asked() -> ChangeContext:
    return ChangeContext(NOBODY, "test", now())


async def signed_in(identity: Identity, password: str) -> SignedIn:
    return await identity.signing_in.login(EMAIL, password, "", asked())


async def test_a_new_user_gets_a_password_that_signs_in(
    server: Running, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is printed once, with the id and the roles, and nothing else is."""
    arguments = ("admin", "create-user", EMAIL, "--role", "staff")
    finished = await asyncio.to_thread(backroom_here, capsys, *arguments, **given_here(database_url))
    assert (finished.code, finished.err) == (0, "")
    user, password = finished.out.splitlines()
    assert re.fullmatch(r"user [0-9a-f-]{36} with the roles: staff", user)
    secret = password.removeprefix("password, not to be shown again: ")
    login = identity_service_pb2.LoginRequest(email="ada@example.com", password=secret)
    assert (await server.anonymous.identity.Login(login)).tokens.access_token


async def test_a_service_account_gets_a_key_that_can_be_exchanged(
    server: Running, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is printed once, with its roles, by default the role service."""
    arguments = ("admin", "create-service-account", "till.1")
    finished = await asyncio.to_thread(backroom_here, capsys, *arguments, **given_here(database_url))
    assert (finished.code, finished.err) == (0, "")
    (line,) = finished.out.splitlines()
    told, key = line.split("; key, not to be shown again: ")
    assert told == "service account till.1 with the roles service"
    exchanged = await server.anonymous.access.ExchangeKey(access_service_pb2.ExchangeKeyRequest(key=key))
    assert exchanged.access_token


def test_a_password_from_standard_input_is_not_printed(capsys: pytest.CaptureFixture[str], database_url: str) -> None:
    """It signs in."""
    password = "from a password manager"
    arguments = ("admin", "create-user", EMAIL, "--password-stdin")
    finished = backroom_here(capsys, *arguments, given=f"{password}\n", **given_here(database_url))
    assert (finished.code, finished.err) == (0, "")
    assert password not in finished.out
    assert len(finished.out.splitlines()) == 1
    assert on(database_url, lambda identity: signed_in(identity, password)).access_token


def test_an_account_that_cannot_be_created_is_reported_in_one_line(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    """With exit code 1, what is wrong, and no output of a success."""
    wrong = {
        ("create-user", "ada"): "email: ",
        ("create-user", "ada@example.com", "--role", "queen"): "There is no role named queen.",
        ("create-service-account", "Till 1"): "name: ",
        ("create-service-account", "till.2", "--role", "queen"): "There is no role named queen.",
    }
    for arguments, told in wrong.items():
        finished = backroom_here(capsys, "admin", *arguments, **given_here(database_url))
        assert (finished.code, finished.out) == (1, ""), arguments
        (line,) = finished.err.splitlines()
        assert line.startswith(f"backroom: {told}"), arguments
    assert on(database_url, lambda identity: identity.access.list_users(role=None, after=None, limit=9)) == []


def test_a_taken_name_is_reported_in_one_line_without_a_secret(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    """The same address in another case is the same address."""
    first = backroom_here(capsys, "admin", "create-user", EMAIL, **given_here(database_url))
    secret = first.out.split()[-1]
    again = backroom_here(capsys, "admin", "create-user", EMAIL.upper(), **given_here(database_url))
    assert (again.code, again.out, again.err) == (1, "", "backroom: An account with this email already exists.\n")
    assert on(database_url, lambda identity: signed_in(identity, secret)).access_token
    key = backroom_here(capsys, "admin", "create-service-account", "till", **given_here(database_url)).out.split()[-1]
    again = backroom_here(capsys, "admin", "create-service-account", "till", **given_here(database_url))
    assert (again.code, again.out, again.err) == (1, "", "backroom: A service account named till already exists.\n")
    assert on(database_url, lambda identity: identity.api_keys.exchange(key, asked()))[0]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r"])
def test_a_password_from_standard_input_ends_with_its_line(
    capsys: pytest.CaptureFixture[str], database_url: str, end: bytes
) -> None:
    """Also with a line end of Windows; a byte order mark is not part of it, and Unicode forms are normalized."""
    given = b"\xef\xbb\xbf" + "Ångström fährt Ski".encode() + end
    arguments = ("admin", "create-user", EMAIL, "--password-stdin")
    finished = backroom_here(capsys, *arguments, given=given, **given_here(database_url))
    assert (finished.code, finished.err) == (0, "")
    apart = unicodedata.normalize("NFD", "Ångström fährt Ski")
    assert on(database_url, lambda identity: signed_in(identity, apart)).access_token


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (b"letmeinletmein\n", "easy to guess"),
        (b"ADA@example.com\n", "easy to guess"),
        (b"not in \xff UTF-8, alas\n", "--password-stdin: standard input is not UTF-8"),
        (b"", "password: "),
        ("u\u0308".encode() * 6, "characters or more"),
    ],
)
def test_an_invalid_password_is_reported_in_one_line(
    capsys: pytest.CaptureFixture[str], database_url: str, given: bytes, told: str
) -> None:
    """Without the password, and no account is created."""
    arguments = ("admin", "create-user", EMAIL, "--password-stdin")
    finished = backroom_here(capsys, *arguments, given=given, **given_here(database_url))
    assert (finished.code, finished.out) == (1, "")
    (line,) = finished.err.splitlines()
    assert told in line
    assert "letmein" not in line
    assert on(database_url, lambda identity: identity.access.list_users(role=None, after=None, limit=9)) == []


def test_a_short_password_creates_no_account(capsys: pytest.CaptureFixture[str], database_url: str) -> None:
    """The contract's own rule applies here too, and the password is not repeated."""
    arguments = ("admin", "create-user", EMAIL, "--password-stdin")
    finished = backroom_here(capsys, *arguments, given="hunter2\n", **given_here(database_url))
    assert (finished.code, finished.out) == (1, "")
    assert finished.err.startswith("backroom: password: ")
    assert "hunter2" not in finished.err
    with pytest.raises(CredentialsInvalid):
        on(database_url, lambda identity: signed_in(identity, "hunter2"))


def test_an_unreachable_database_is_reported_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """For every command that needs it, without its password."""
    for arguments in (("admin", "create-user", EMAIL), ("admin", "create-service-account", "till"), ("migrate",)):
        finished = backroom_here(capsys, *arguments, **given_here(NOBODY_HOME))
        assert (finished.code, finished.out) == (1, "")
        assert finished.err.startswith("backroom: DATABASE_URL: connection to server on socket ")
        assert finished.err.count("\n") == 1


def test_another_master_key_is_reported_in_one_line_and_changes_nothing(
    capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    """An audit entry signed with it could never be verified."""
    backroom_here(capsys, "admin", "create-user", EMAIL, **given_here(database_url))
    another = {**given_here(database_url), "BACKROOM_MASTER_KEY": new_master_key()}
    for arguments in (("create-user", "bob@example.com"), ("create-service-account", "till")):
        finished = backroom_here(capsys, "admin", *arguments, **another)
        assert (finished.code, finished.out) == (1, ""), arguments
        (line,) = finished.err.splitlines()
        assert line.startswith("backroom: BACKROOM_MASTER_KEY: does not open"), arguments
    people = on(database_url, lambda identity: identity.access.list_users(role=None, after=None, limit=9))
    assert [person.email for person in people] == [EMAIL.lower()]
    assert on(database_url, lambda identity: identity.access.list_services(after=None, limit=9)) == []
