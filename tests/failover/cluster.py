"""A primary and its synchronous standby, on copies of one migrated data folder."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

import migrations
from storage.embedded.temporary import memory_folder
from tests.failover.disk import Disk, mounted
from tests.failover.proxy import Proxy, passing_on
from tests.fixtures.keys import MASTER_KEY
from tests.fixtures.postgres_nodes import Node

DATABASE = "backroom"


@dataclass(frozen=True)
class Template:
    """A stopped server's data folder with a migrated database, and the key of a service account in it."""

    folder: Path
    """The copies are next to it."""
    data: Path
    key: str


@contextmanager
def template() -> Iterator[Template]:
    """Created once; each round starts on copies of it. Removed with all copies at the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="backroom-failover-", dir=memory_folder()))
    node: Node | None = None
    try:
        node = Node(folder / "template", DATABASE)
        node.make()
        node.start()
        _create_database(node)
        migrations.upgrade(node.url)
        key = _service_key(node.url)
        node.stop()
        yield Template(folder, node.data, key)
    finally:
        if node is not None:
            node.discard()
        shutil.rmtree(folder, ignore_errors=True)


def _create_database(node: Node) -> None:
    with psycopg.connect(f"host=127.0.0.1 port={node.port} user=postgres dbname=postgres", autocommit=True) as opened:
        opened.execute(f"CREATE DATABASE {DATABASE}".encode())


def _service_key(url: str) -> str:
    environment = {**os.environ, "DATABASE_URL": url, "BACKROOM_MASTER_KEY": MASTER_KEY}
    arguments = ("-m", "server", "admin", "create-service-account", "crowd", "--role", "service")
    made = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip().rpartition(" ")[2]


class Cluster:
    """The two servers, and the connection between them for replication."""

    def __init__(self, primary: Node, standby: Node, link: Proxy, disk: Disk | None) -> None:
        self.primary = primary
        self.standby = standby
        self.link = link
        """Forwards the standby's connections to the primary."""
        self.disk = disk
        """The disk of the node that is the primary first; None if none can be mounted."""
        self._in_step = True

    @property
    def nodes(self) -> tuple[Node, Node]:
        """The nodes by their names."""
        first, second = sorted((self.primary, self.standby), key=lambda node: node.name)
        return first, second

    def url(self, *ports: int) -> str:
        """A server's URL: both, or the proxies in front of them, of which it uses the writable one."""
        used = ports or tuple(node.port for node in self.nodes)
        hosts = ",".join("127.0.0.1" for _ in used)
        listed = ",".join(map(str, used))
        return f"postgresql://postgres@/{DATABASE}?host={hosts}&port={listed}&target_session_attrs=read-write"

    async def promote(self) -> None:
        """Makes the standby the primary, which waits for no standby; the old primary is left as it is."""
        await asyncio.to_thread(self.standby.promote)
        self.primary, self.standby = self.standby, self.primary
        self.link.target = self.primary.port
        self.link.join()
        self._in_step = False

    async def heal(self) -> None:
        """Rewinds the old primary to follow the new one, whose commits wait for it again."""
        if self._in_step:
            return
        self.link.cut()
        await asyncio.to_thread(self.standby.stop)
        await asyncio.to_thread(self.standby.rewind, self.primary)
        await asyncio.to_thread(self.standby.start, self.link.port)
        await asyncio.to_thread(self.primary.wait_for_standby, self.standby.name)
        self._in_step = True


@asynccontextmanager
async def replicating(made: Template) -> AsyncIterator[Cluster]:
    """A new cluster on fresh copies; removed at the end of the block, whatever its state."""
    folder = Path(tempfile.mkdtemp(prefix="round-", dir=made.folder))
    nodes: list[Node] = []
    try:
        with mounted(folder / "disk") as disk:
            try:
                for name, place in (("a", folder / "disk"), ("b", folder)):
                    nodes.append(Node(place / name, DATABASE))
                    nodes[-1].copy_stopped(made.data)
                async with _in_step(nodes, disk) as cluster:
                    yield cluster
            finally:
                for node in nodes:
                    node.discard()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _in_step(nodes: Sequence[Node], disk: Disk | None) -> AsyncIterator[Cluster]:
    primary, standby = nodes
    async with passing_on(primary.port) as link:
        await asyncio.to_thread(primary.start)
        await asyncio.to_thread(standby.start, link.port)
        await asyncio.to_thread(primary.wait_for_standby, standby.name)
        yield Cluster(primary, standby, link, disk)
