"""The doctor checks the database for serving, and the master key for opening what is sealed in it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from server.frame.sealing import new_master_key
from storage.url import parameters, sibling
from tests.cli.test_doctor import row
from tests.fixtures.keys import MASTER_KEY
from tests.fixtures.postgres import migrated
from tests.process.commands import Finished, backroom_here

FREE = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:1", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:1", "COLUMNS": "400"}


async def doctor(capsys: pytest.CaptureFixture[str], url: str, **settings: str) -> Finished:
    given = {"DATABASE_URL": url, "BACKROOM_MASTER_KEY": MASTER_KEY, **FREE, **settings}
    return await asyncio.to_thread(backroom_here, capsys, "doctor", **given)


@contextmanager
def as_owner(url: str, *statements: str) -> Iterator[None]:
    """Statements on the server as owner; each second one undoes the first."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements[::2]:
            connection.execute(statement)
        try:
            yield
        finally:
            for statement in statements[1::2]:
                connection.execute(statement)


async def test_all_checks_pass(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0; the version is the server's own."""
    with psycopg.connect(database_url) as connection:
        version = connection.info.parameter_status("server_version") or ""
    finished = await doctor(capsys, database_url)
    assert (finished.code, finished.err) == (0, "")
    assert version.split()[0] in row(finished, "PostgreSQL")
    for what in ("writing", "pooler", "time limits", "rights to serve", "rights to migrate", "connections"):
        assert row(finished, what).startswith("✓"), what


async def test_a_missing_master_key_is_reported_with_how_to_create_one(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An external database needs one."""
    finished = await doctor(capsys, database_url, BACKROOM_MASTER_KEY="")
    assert finished.code == 1
    found = row(finished, "the master key")
    assert found.startswith("✗")
    assert "is not set" in found
    assert "backroom keys new-master-key" in found


async def test_a_master_key_that_opens_nothing_is_reported_and_nothing_is_created(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check creates no keys; existing ones it opens, or reports how many it cannot."""
    assert "nothing is sealed yet" in row(await doctor(capsys, database_url), "the master key")
    settings = {"DATABASE_URL": database_url, "BACKROOM_MASTER_KEY": MASTER_KEY}
    made = await asyncio.to_thread(backroom_here, capsys, "admin", "create-service-account", "shop", **settings)
    assert made.code == 0
    assert "opens what is sealed: 2 keys" in row(await doctor(capsys, database_url), "the master key")
    finished = await doctor(capsys, database_url, BACKROOM_MASTER_KEY=new_master_key())
    assert finished.code == 1
    found = row(finished, "the master key")
    assert found.startswith("✗")
    assert "opens 0 of the 2 keys" in found
    assert "set the key that sealed them" in found
    both = f"{new_master_key()},{MASTER_KEY}"
    assert row(await doctor(capsys, database_url, BACKROOM_MASTER_KEY=both), "the master key").startswith("✓")


async def test_a_read_only_database_is_broken(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Because its role or administrator made it so, as after a failover."""
    name = parameters(database_url)["dbname"]
    only = f"ALTER DATABASE {name} SET default_transaction_read_only = on"
    with as_owner(database_url, only, "SELECT 1"):
        finished = await doctor(capsys, database_url)
    assert finished.code == 1
    assert "default_transaction_read_only is on" in row(finished, "writing")
    assert "name the primary" in row(finished, "writing")


async def test_it_reports_what_a_commit_waits_for(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """If it waits for nothing, with a suggestion."""
    name = parameters(database_url)["dbname"]
    with as_owner(database_url, f"ALTER DATABASE {name} SET synchronous_commit = on", "SELECT 1"):
        finished = await doctor(capsys, database_url)
        assert "wait for the disk; no standby is synchronous" in row(finished, "commits")
    with as_owner(database_url, f"ALTER DATABASE {name} SET synchronous_commit = off", "SELECT 1"):
        finished = await doctor(capsys, database_url)
        assert "wait for nothing, since synchronous_commit is off" in row(finished, "commits")
        assert "set synchronous_commit to on for the role" in row(finished, "commits")
    assert finished.code == 0


async def test_too_few_connections_are_broken(
    postgres: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """The limit is named: the database's own here, with one connection in use."""
    # A database that the fixtures are not connected to.
    with migrated(postgres, request) as url:
        name = parameters(url)["dbname"]
        limited = as_owner(postgres, f"ALTER DATABASE {name} CONNECTION LIMIT 12", "SELECT 1")
        with limited, psycopg.connect(url):
            finished = await doctor(capsys, url)
    assert finished.code == 1
    found = row(finished, "connections")
    assert "11 left for Backroom; each server takes up to 11, and 5 more where it does jobs" in found
    assert "raise the database's CONNECTION LIMIT" in found


async def test_a_configured_pooler_that_is_missing_is_a_notice(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not broken, once the limits apply; before that, the advice is to migrate."""
    settings = {"BACKROOM_DATABASE_POOLER": "transaction"}
    finished = await doctor(capsys, database_url, **settings)
    assert finished.code == 1
    assert "there is none" in row(finished, "pooler")
    assert "statement_timeout, lock_timeout" in row(finished, "time limits")
    assert "backroom migrate" in row(finished, "time limits")
    migrated = await asyncio.to_thread(backroom_here, capsys, "migrate", DATABASE_URL=database_url, **settings)
    assert (migrated.code, migrated.err) == (0, "")
    finished = await doctor(capsys, database_url, **settings)
    assert finished.code == 0
    assert row(finished, "time limits").startswith("✓")


async def test_the_direct_url_is_checked_separately(
    postgres: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its problem is reported with its own setting."""
    settings = {"BACKROOM_DIRECT_DATABASE_URL": database_url}
    assert "may migrate" in row(await doctor(capsys, database_url, **settings), "the direct way")
    missing = sibling(postgres, "missing")
    finished = await doctor(capsys, database_url, BACKROOM_DIRECT_DATABASE_URL=missing)
    assert finished.code == 1
    found = row(finished, "the direct way")
    assert 'database "missing" does not exist' in found
    assert "BACKROOM_DIRECT_DATABASE_URL" in found


async def test_the_databases_environment_is_compared_with_the_setting(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """None before the first start; another environment is broken, with both values and what to do."""
    what, here, there = "the database belongs to", "https://here.example.com", "https://there.example.com"
    assert "nobody yet" in row(await doctor(capsys, database_url), what)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO frame.environment (id, issuer) VALUES (1, %s)", (there,))
    finished = await doctor(capsys, database_url, BACKROOM_ISSUER=there)
    assert row(finished, what).startswith("✓")
    assert there in row(finished, "BACKROOM_ISSUER")
    finished = await doctor(capsys, database_url, BACKROOM_ISSUER=here)
    assert finished.code == 1
    found = row(finished, what)
    assert found.startswith("✗")
    assert there in found
    assert f"BACKROOM_ISSUER, which is {here}" in found
    assert "backroom adopt" in found
