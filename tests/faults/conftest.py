"""The fault tests use a separate database server, which they stop and freeze."""

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
from tests.fixtures.processes import Pair
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
    """Replaces the shared server, so that `server` and `database` use this cluster."""
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE template")
    migrations.upgrade(sibling(cluster.url, "template"))
    return cluster.url


@pytest.fixture
async def server(own_server: Running) -> Running:
    """A server for one test: a fault in one affects no other test, and the shared one uses another cluster."""
    return own_server


@pytest.fixture
async def pair(own_pair: Pair) -> Pair:
    """Two servers for one test: the shared ones would use this cluster, and tests elsewhere would lose them with it."""
    return own_pair


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
