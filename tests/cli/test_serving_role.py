"""One role migrates and another serves, which can neither change the record nor create tables."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from server.events.service import Partitions
from server.frame.module import now
from storage.database import Database
from storage.events.store import EVENTS
from storage.rights import APPENDED
from storage.store import FRAME
from storage.url import parameters
from tests.cli.test_doctor import row
from tests.cli.test_doctor_database import FREE
from tests.commerce.goods import placed, stocked
from tests.events.calling import ago, event, listed, outcomes
from tests.fixtures.keys import MASTER_KEY, MASTER_KEYS
from tests.fixtures.sandbox import Sandbox
from tests.fixtures.servers import Api, running
from tests.fixtures.trading import eventually, trading
from tests.identity.people import logged_in, me, registered
from tests.invariants import broken
from tests.process.commands import Finished, backroom_here

RECORD = ("anchors", "entries", "seals")
ROLES_SQL = Path(__file__).parents[2] / "deploy" / "roles.sql"
OWNER, SERVING, DATABASE = "backroom_owner", "backroom", "backroom"


@pytest.fixture
def roles(postgres: str) -> Iterator[str]:
    """Both roles and the database, as compose.yaml creates them in a new volume; returns the server's socket folder."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        for statement in statements(owner_password="for the owner", serving_password="for the server"):
            connection.execute(statement)
        yield parameters(postgres)["host"]
        connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
        connection.execute(f"DROP ROLE {OWNER}, {SERVING}")


def statements(**variables: str) -> list[bytes]:
    """The script's statements as psql reads them, with these values for its variables."""
    lines = [line for line in ROLES_SQL.read_text().splitlines() if not line.startswith(("--", "\\getenv "))]
    text = re.sub(r":'(\w+)'", lambda found: f"'{variables[found[1]]}'", "\n".join(lines))
    return [each.encode() for each in text.split(";") if each.strip()]


def by(role: str, folder: str) -> str:
    return f"postgresql://{role}@/{DATABASE}?host={folder}"


def command(capsys: pytest.CaptureFixture[str], *arguments: str, **settings: str) -> Finished:
    return backroom_here(capsys, *arguments, BACKROOM_MASTER_KEY=MASTER_KEY, **settings)


def migrated(capsys: pytest.CaptureFixture[str], folder: str, role: str = SERVING) -> Finished:
    return command(capsys, "migrate", DATABASE_URL=by(OWNER, folder), BACKROOM_SERVING_ROLE=role)


@pytest.fixture
async def granted(roles: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The serving role's URL, on a database that the owner migrated."""
    finished = await asyncio.to_thread(migrated, capsys, roles)
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.endswith("the role backroom may serve on it, and change nothing in the record\n")
    return by(SERVING, roles)


async def test_the_serving_role_has_the_privileges_for_calls_and_jobs(granted: str, sandbox_here: Sandbox) -> None:
    """A user registers and signs in; an order is placed and paid; the record is sealed, and the laws hold."""
    database = Database(granted, audit_key=MASTER_KEYS.audit_key, pool_size=5)
    try:
        async with running(database) as server:  # it sends no mails, so that they can be read
            await server.application.health.ready()
            await registered(server.anonymous)
            tokens = await logged_in(server.anonymous)
            assert (await me(Api(server.channel, tokens.access_token))).user.email == "ada@example.com"
        async with trading(database, granted, sandbox_here) as shop:
            await stocked(shop.seller, "TEA", 3)
            order = await placed(shop.seller, ("TEA", 2))
            await shop.settled(await shop.pay(order), "CAPTURED")
            await eventually(lambda: sealed(database), lambda position: position > 3)
        assert await broken(database) == {}
    finally:
        await database.close()


async def test_the_serving_role_stores_events_of_any_day_and_drops_days(granted: str) -> None:
    """It creates no tables by itself: days are made and dropped by functions that have the owner's rights."""
    database = Database(granted, audit_key=MASTER_KEYS.audit_key, pool_size=5)
    try:
        async with running(database) as server:
            service = await server.sign_in("service")
            old = ago(days=100)
            assert await outcomes(service, event(), event(time=old)) == ["stored", "stored"]
            partitions = Partitions(database.store(EVENTS), now, retention_days=50)
            await partitions.create_ahead()
            assert await partitions.drop_old() == 1
            assert len(await listed(service)) == 1
    finally:
        await database.close()


async def sealed(database: Database) -> int:
    async with database.store(FRAME).reading() as tx:
        head = await tx.audit_chain.head()
    return head.position if head else 0


async def test_the_serving_role_cannot_change_the_record(granted: str) -> None:
    """Nor create or drop tables, or grant itself more."""
    with psycopg.connect(granted, autocommit=True) as connection:
        (superuser,) = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = session_user").fetchone() or ()
        assert superuser is False
        refused = [
            *(f"UPDATE {table} SET {column} = {column}" for table, column in a_column_of_each(connection)),
            *(f"DELETE FROM {table}" for table in sorted(APPENDED)),
            *(f"TRUNCATE {table}" for table in sorted(APPENDED)),
            "CREATE TABLE public.mine (id int)",
            "CREATE TABLE frame.mine (id int)",
            "CREATE SCHEMA mine",
            "DROP TABLE frame.audit_entries",
            "ALTER TABLE frame.audit_entries OWNER TO backroom",
            "SET ROLE backroom_owner",
            "UPDATE alembic_version SET version_num = '0001'",
        ]
        assert len(refused) == 3 * len(APPENDED) + 7
        assert {
            "commerce.stock_movements",
            "frame.environment",
            *(f"frame.audit_{name}" for name in RECORD),
        } <= APPENDED
        for statement in refused:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def a_column_of_each(connection: psycopg.Connection[tuple[object, ...]]) -> list[tuple[str, str]]:
    """Each table of the record, with one of its columns."""
    found = connection.execute(
        """
        SELECT table_schema || '.' || table_name, min(column_name) FROM information_schema.columns
         WHERE table_schema || '.' || table_name = ANY(%s) GROUP BY 1 ORDER BY 1
    """,
        (sorted(APPENDED),),
    )
    return [(str(table), str(column)) for table, column in found]


async def test_earlier_grants_are_revoked(roles: str, granted: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A role with all privileges, as an earlier version required, has only what it needs after the next migration."""
    with psycopg.connect(by(OWNER, roles), autocommit=True) as connection:
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA frame TO backroom")
    assert (await asyncio.to_thread(migrated, capsys, roles)).code == 0
    with psycopg.connect(granted, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM frame.audit_entries")
        connection.execute("DELETE FROM frame.request_ids")


async def test_the_doctor_requires_only_the_privileges_that_serving_needs(
    granted: str, roles: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names a missing one, with the command that grants it."""

    async def rights() -> str:
        settings = {"DATABASE_URL": granted, **FREE}
        return row(await asyncio.to_thread(command, capsys, "doctor", **settings), "rights to serve")

    assert (await rights()).startswith("✓")
    with psycopg.connect(by(OWNER, roles), autocommit=True) as connection:
        connection.execute("REVOKE INSERT ON frame.audit_entries FROM backroom")
    found = await rights()
    assert found.startswith("✗")
    assert "INSERT on frame.audit_entries" in found
    assert "BACKROOM_SERVING_ROLE=backroom backroom migrate" in found


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("nobody_there", 'role "nobody_there" does not exist'),
        ("postgres", 'the role "postgres" is a superuser, whom nothing can be denied'),
        (OWNER, f'the role "{OWNER}" is the one that migrates'),
    ],
)
async def test_a_role_that_cannot_be_restricted_is_reported(
    roles: str, capsys: pytest.CaptureFixture[str], role: str, said: str
) -> None:
    """In one line; the migration remains."""
    finished = await asyncio.to_thread(migrated, capsys, roles, role)
    assert finished.code == 1
    assert finished.err.startswith(f"backroom: BACKROOM_SERVING_ROLE: {said}; ")
    assert finished.err.count("\n") == 1
