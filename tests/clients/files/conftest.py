"""tus-js-client and Uppy, installed as their users do."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
INSTALL_SECONDS = 900
"""The machine may be busy."""


def installed(into: Path) -> Path:
    """A folder with the programs for Node, and what they need installed from the lock file."""
    npm = shutil.which("npm")
    assert npm, "npm is not installed: these tests need Node 20 or newer with npm"
    shutil.copytree(HERE / "node", into, ignore=shutil.ignore_patterns("node_modules"))
    install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(install, cwd=into, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return into


@pytest.fixture(scope="session")
def tus_clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("tus") / "node")
