"""Programs for Node, installed as their users do."""

import shutil
import subprocess
from pathlib import Path

INSTALL_SECONDS = 900
"""The machine may be busy."""


def installed(programs: Path, into: Path) -> Path:
    """A new folder with the programs, and what they need installed from the lock file."""
    npm = shutil.which("npm")
    assert npm, "npm is not installed: these tests need Node 20 or newer with npm"
    shutil.copytree(programs, into, ignore=shutil.ignore_patterns("node_modules", "gen", "built"))
    install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(install, cwd=into, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return into
