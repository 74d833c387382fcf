"""The clients, installed as their users do, in environments of their own."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.clients.npm import INSTALL_SECONDS, installed

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs for Node, and what they need installed from the lock file."""
    return installed(HERE / "node", tmp_path_factory.mktemp("openfeature") / "node")


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the providers: beside our own stubs, flagd's would be declared twice in one process."""
    into = tmp_path_factory.mktemp("openfeature") / "python"
    venv.create(into, with_pip=False)
    packages = into / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--disable-pip-version-check"]
    install = [*pip, "--target", str(packages), "-r", str(HERE / "python" / "requirements.txt")]
    done = subprocess.run(install, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return into / "bin" / "python"
