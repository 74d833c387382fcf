"""A PostgreSQL with a standby, which tests may freeze, crash and promote."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

import migrations
from storage.embedded.temporary import memory_folder
from storage.url import sibling
from tests.fixtures.postgres_nodes import Node, until


class Pair:
    """A primary and its standby, for which each commit waits."""

    def __init__(self, folder: Path) -> None:
        self.primary, self.standby = Node(folder / "primary"), Node(folder / "standby")

    def replicate(self) -> None:
        """Copies the primary to the standby, and makes commits wait for it from then on."""
        self.standby.copy_running(self.primary)
        self.standby.start()
        self.primary.wait_for_standby(self.standby.name)

    def url(self, database: str) -> str:
        """The URL of a database on whichever of the two is the primary."""
        return either_url(database, self.primary, self.standby)


def either_url(database: str, *nodes: Node) -> str:
    """The URL of a database on whichever of the nodes is the primary."""
    hosts, ports = ",".join("127.0.0.1" for _ in nodes), ",".join(str(node.port) for node in nodes)
    return f"postgresql://postgres@/{database}?host={hosts}&port={ports}&target_session_attrs=read-write"


def synchronous(url: str, names: str = "*") -> None:
    """Makes commits wait for one of these standbys, and returns when that applies; without a name, for none."""
    with psycopg.connect(url, autocommit=True, options="-c synchronous_commit=local") as connection:
        connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        connection.execute("SELECT pg_reload_conf()")
        setting = "SELECT current_setting('synchronous_standby_names')"
        until(lambda: connection.execute(setting).fetchone() == (names,))
    # The postmaster tells its sessions one after the other, and lets nobody in before it has told all of them.
    psycopg.connect(url).close()


def waiting(url: str) -> list[int]:
    """The process ids of sessions whose commit waits for a standby."""
    query = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' ORDER BY pid"
    with psycopg.connect(url, autocommit=True) as connection:
        return [int(row[0]) for row in connection.execute(query)]


DATABASE = "backroom"
"""What the migrated database of a primary is called."""


@contextmanager
def template() -> Iterator[Path]:
    """The folder of a primary that has stopped, with a migrated database; primaries are copied from it."""
    folder = Path(tempfile.mkdtemp(prefix="backroom-template-", dir=memory_folder()))
    node = Node(folder / "primary")
    try:
        node.make()
        node.start()
        node.execute(f"CREATE DATABASE {DATABASE}")
        migrations.upgrade(sibling(node.url, DATABASE))
        node.stop()
        yield node.data
    finally:
        node.discard()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def pair(copied: Path) -> Iterator[Pair]:
    """A primary on which a standby can be founded, copied from a template; both are gone at the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="backroom-pair-", dir=memory_folder()))
    made = Pair(folder)
    try:
        made.primary.copy_stopped(copied)
        made.primary.start()
        yield made
    finally:
        made.standby.discard()
        made.primary.discard()
        shutil.rmtree(folder, ignore_errors=True)
