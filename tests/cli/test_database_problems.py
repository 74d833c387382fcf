"""A database problem is reported in one line: libpq's own words, the setting, and what to do."""

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest

from server.modules import MODULES
from storage.url import parameters, sibling
from tests.cli.test_doctor import row
from tests.fixtures.keys import MASTER_KEY
from tests.process.commands import Finished, backroom, backroom_here
from tests.storage.postgres_15 import PROGRAMS, postgres_15

CANARY = "canary #/%1"
ENCODED = quote(CANARY, safe="")
FREE = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:0", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:0"}
RULES = "local all door_password scram-sha-256\nlocal all door_entry reject\n"


@dataclass(frozen=True)
class Urls:
    """URLs of one database, most of which do not work."""

    socket: str
    database: str
    tcp: str
    """A host and a port that lead to the same server, without TLS."""
    silent: str
    """A host and a port that accept connections and never respond."""

    def by(self, role: str, database: str = "") -> str:
        return f"postgresql://{role}:{ENCODED}@/{database or self.database}?host={self.socket}"


@pytest.fixture(scope="module")
def roles(postgres: str) -> Iterator[None]:
    """Roles that each lack a privilege."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        (place,) = connection.execute("SHOW hba_file").fetchone() or ()
        rules = Path(place)
        before = rules.read_text()
        rules.write_text(RULES + before)
        connection.execute("SELECT pg_reload_conf()")
        for role in (
            "door_password LOGIN PASSWORD 'another'",
            "door_entry LOGIN",
            "door_nologin NOLOGIN",
            "door_full LOGIN CONNECTION LIMIT 0",
            "door_stranger LOGIN",
        ):
            connection.execute(f"CREATE ROLE {role}")
        connection.execute("CREATE DATABASE door_shut")
        connection.execute("REVOKE CONNECT ON DATABASE door_shut FROM public")
        yield
        rules.write_text(before)
        connection.execute("DROP DATABASE door_shut")
        for name in ("door_password", "door_entry", "door_nologin", "door_full", "door_stranger"):
            connection.execute(f"DROP ROLE {name}")
        connection.execute("SELECT pg_reload_conf()")


@pytest.fixture
async def urls(postgres: str, database_url: str, roles: None) -> AsyncIterator[Urls]:  # noqa: ARG001 - they are there, and that is all
    found = parameters(postgres)
    place = f"{found['host']}/.s.PGSQL.{found.get('port', '5432')}"
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        async with relayed(place) as port:
            database = parameters(database_url)["dbname"]
            yield Urls(
                quote(found["host"], safe=""), database, f"127.0.0.1:{port}", f"127.0.0.1:{silent.getsockname()[1]}"
            )


@asynccontextmanager
async def relayed(place: str) -> AsyncIterator[int]:
    """A port that forwards to a socket."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            while data := await reader.read(65536):
                writer.write(data)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(place)
        await asyncio.gather(carry(reader, back), carry(there, writer), return_exceptions=True)

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


TROUBLES = {
    "refused": ("postgresql://door:{canary}@127.0.0.1:1/shop", "Connection refused", "start PostgreSQL there"),
    "no socket": ("postgresql://door:{canary}@/shop?host=/nowhere", "No such file", "start PostgreSQL there"),
    "host": ("postgresql://door:{canary}@no-such-host.invalid/shop", "no-such-host.invalid", "correct the host in"),
    "impossible host": (f"postgresql://door:{{canary}}@{'x' * 70}.invalid/shop", "", "correct the host in"),
    "silent": ("postgresql://door:{canary}@{urls.silent}/shop", "timeout expired", "a firewall"),
    "password": ("door_password", 'password authentication failed for user "door_password"', "correct the user and"),
    "role": ("door_nobody", 'role "door_nobody" does not exist', "create the role"),
    "no login": ("door_nologin", 'role "door_nologin" is not permitted to log in', "let it log in"),
    "entry": ("door_entry", "pg_hba.conf rejects connection", "have pg_hba.conf let this role in"),
    "database": ("postgres/door_missing", 'database "door_missing" does not exist', "createdb"),
    "no connect": ("door_stranger/door_shut", 'permission denied for database "door_shut"', "grant it"),
    "full": ("door_full", 'too many connections for role "door_full"', "max_connections"),
    "no TLS": ("postgresql://postgres:{canary}@{urls.tcp}/shop?sslmode=require", "does not support SSL", "sslmode"),
}
"""A role, or a role and a database, or a URL; the message, and what to do."""


def url_of(urls: Urls, way: str) -> str:
    if way.startswith("postgresql://"):
        return way.format(canary=ENCODED, urls=urls)
    role, _, database = way.partition("/")
    return urls.by(role, database)


def hold(finished: Finished, said: str, fix: str, before: str = "") -> None:
    """Checks that there is one line with both, without the password."""
    assert finished.code == 1, finished
    (line,) = finished.err.splitlines()
    assert line.startswith(f"backroom: {before}DATABASE_URL: "), line
    assert said in line
    assert fix in line
    silent_about_the_password(finished)


def silent_about_the_password(finished: Finished) -> None:
    for secret in (CANARY, ENCODED, "canary"):
        assert secret not in finished.out + finished.err


@pytest.mark.parametrize(("way", "said", "fix"), TROUBLES.values(), ids=TROUBLES)
async def test_each_problem_is_reported_by_every_command(
    urls: Urls, way: str, said: str, fix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By one that queries, and by the doctor."""
    settings = {"DATABASE_URL": url_of(urls, way), "BACKROOM_MASTER_KEY": MASTER_KEY}
    hold(await asyncio.to_thread(backroom_here, capsys, "jobs", **settings), said, fix)
    finished = await asyncio.to_thread(backroom_here, capsys, "doctor", COLUMNS="500", **settings, **FREE)
    assert finished.code == 1
    found = row(finished, "database ")
    assert found.startswith("✗")
    assert said in found
    assert fix in found
    silent_about_the_password(finished)


IN_PROCESS = (
    ["migrate"],
    ["verify"],
    ["keys", "list"],
    ["audit", "list"],
    ["audit", "verify"],
    ["admin", "create-service-account", "shop"],
)


@pytest.mark.slow
async def test_each_command_uses_the_same_words(urls: Urls, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, without a traceback; servers exit, since a wrong password does not fix itself."""
    settings = {"DATABASE_URL": urls.by("door_password"), "BACKROOM_MASTER_KEY": MASTER_KEY, **FREE}
    said, fix = 'password authentication failed for user "door_password"', "correct the user and the password in"
    for command in IN_PROCESS:
        hold(await asyncio.to_thread(backroom_here, capsys, *command, **settings), said, fix)
    for command in (["worker"], ["serve"], ["serve", "--workers", "2"], ["demo", "--yes"]):
        finished = await backroom(*command, **settings)
        assert finished.code == 1
        line = finished.err.splitlines()[-1]
        assert line.startswith("backroom: DATABASE_URL: "), finished
        assert said in line
        assert fix in line
        assert "Traceback" not in finished.err
        silent_about_the_password(finished)


async def test_the_privileges_that_a_serving_role_lacks_are_listed(
    urls: Urls, postgres: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command names the first, and the doctor all until they are granted; then the role can serve, not migrate."""
    settings = {"DATABASE_URL": urls.by("door_stranger"), "BACKROOM_MASTER_KEY": MASTER_KEY}
    finished = await asyncio.to_thread(backroom_here, capsys, "jobs", **settings)
    hold(finished, "permission denied for table alembic_version", "backroom doctor lists what is missing")

    async def rights() -> tuple[str, str]:
        found = await asyncio.to_thread(backroom_here, capsys, "doctor", COLUMNS="500", **settings, **FREE)
        return row(found, "rights to serve"), row(found, "rights to migrate")

    serve, migrate = await rights()
    assert serve.startswith("✗")
    assert "USAGE on the schema commerce" in serve
    assert "to own" in migrate
    with psycopg.connect(sibling(postgres, urls.database), autocommit=True) as connection:
        for schema in ("frame", *MODULES, "public"):
            connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO door_stranger")
            for right in ("SELECT, INSERT, UPDATE, DELETE ON ALL TABLES", "USAGE ON ALL SEQUENCES"):
                connection.execute(f"GRANT {right} IN SCHEMA {schema} TO door_stranger")
        serve, migrate = await rights()
        assert serve.startswith("✓")
        assert migrate.startswith("-")
        finished = await asyncio.to_thread(backroom_here, capsys, "jobs", **settings)
        assert (finished.code, finished.err) == (0, "")
        connection.execute("DROP OWNED BY door_stranger")


async def test_a_role_that_cannot_migrate_is_reported_with_what_it_lacks(
    urls: Urls, postgres: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first privilege that PostgreSQL refused; nothing is left behind."""
    name = f"door_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        url = urls.by("door_stranger", name)
        finished = await asyncio.to_thread(backroom_here, capsys, "migrate", DATABASE_URL=url)
        hold(finished, "permission denied for schema public", "grant it to the role in DATABASE_URL")
        connection.execute(f"GRANT CREATE ON DATABASE {name} TO door_stranger")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.skipif(PROGRAMS is None, reason="no PostgreSQL older than 16 is installed: apt-get install postgresql-15")
@pytest.mark.slow
async def test_a_server_that_is_too_old_is_reported_with_both_versions(capsys: pytest.CaptureFixture[str]) -> None:
    """By commands that change and query it, by a server, and by the doctor."""
    with tempfile.TemporaryDirectory(prefix="backroom-old-") as folder, postgres_15(Path(folder)) as url:
        assert PROGRAMS is not None
        said, fix = f"the server is PostgreSQL {PROGRAMS.parent.name}.", "upgrade PostgreSQL"
        settings = {"DATABASE_URL": url, "BACKROOM_MASTER_KEY": MASTER_KEY}
        for command in ("migrate", "jobs", "verify"):
            finished = await asyncio.to_thread(backroom_here, capsys, command, **settings)
            hold(finished, said, fix)
            assert "and 16 or newer is needed" in finished.err
        for command in ("serve", "worker"):
            finished = await backroom(command, **settings, **FREE)
            assert finished.code == 1
            assert said in finished.err.splitlines()[-1]
        finished = await asyncio.to_thread(backroom_here, capsys, "doctor", COLUMNS="500", **settings, **FREE)
        assert finished.code == 1
        assert said in finished.out
