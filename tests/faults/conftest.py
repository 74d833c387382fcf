"""The tests of faults run on a database server of their own: they take it away."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import migrations
from storage.embedded.temporary import memory_folder
from storage.url import sibling
from tests.faults.cluster import Cluster
from tests.faults.replication import template
from tests.faults.succession import Succession
from tests.fixtures.servers import Running


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="backroom-faults-"))
    cluster = Cluster(folder / "data")
    yield cluster
    cluster.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(cluster: Cluster) -> str:
    """In the place of the one that all other tests share, so that `server` and `database` stand on the cluster."""
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE template")
    migrations.upgrade(sibling(cluster.url, "template"))
    return cluster.url


@pytest.fixture
async def server(own_server: Running) -> Running:
    """One of its own: what a fault does to a server is in no other test's way, and the shared one is elsewhere."""
    return own_server


@pytest.fixture(scope="session")
def migrated_primary() -> Iterator[Path]:
    with template() as folder:
        yield folder


@pytest.fixture(scope="session")
def succession() -> Iterator[Succession]:
    folder = Path(tempfile.mkdtemp(prefix="backroom-succession-", dir=memory_folder()))
    made = Succession(folder)
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)
