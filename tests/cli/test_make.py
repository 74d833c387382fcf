"""How `make` chooses a Python, and which certificates its downloads trust."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIM_THAT_FINDS_NONE = "exit 127"
OLD = """exec {python} -c 'import sys; sys.version_info = (3, 10, 13); exec(sys.argv[1])' "$2" """


def command(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script.format(python=shlex.quote(sys.executable))}\n")
    path.chmod(0o755)


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs make in this checkout, for an environment in another folder, with that folder first on the path."""
    kept = {name: os.environ[name] for name in ("HOME",) if name in os.environ}
    return subprocess.run(
        ["make", "--no-print-directory", f"VENV={folder}/venv", f"TOOLS={folder}/tools", *arguments],  # noqa: S607
        cwd=ROOT,
        env={**kept, "PATH": f"{folder}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def printed(folder: Path, expression: str, **environment: str) -> str:
    return make(folder, "--eval", f"printed: ; @{expression}", "printed", **environment).stdout.strip()


def test_the_first_python_that_runs_and_is_new_enough_is_chosen(tmp_path: Path) -> None:
    """A version manager leaves commands that only print that they are not active."""
    command(tmp_path, "python3.13", SHIM_THAT_FINDS_NONE)
    command(tmp_path, "python3.12", OLD)
    command(tmp_path, "python3.11", 'exec {python} "$@"')
    assert printed(tmp_path, "echo $(PYTHON)") == "python3.11"


@pytest.mark.parametrize("goal", ["run", "test", "contract"])
def test_an_older_python_is_refused_in_one_line(tmp_path: Path, goal: str) -> None:
    """Both versions are named, and nothing is set up."""
    command(tmp_path, "python3.10", OLD)
    refused = make(tmp_path, goal, PYTHON="python3.10")
    first, last = refused.stderr.splitlines()
    assert first == "Backroom needs Python 3.11 or newer, and python3.10 is 3.10.13: name another by PYTHON=..."
    assert last.startswith("make: ***")
    assert refused.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["python3.10"]


@pytest.mark.parametrize(
    ("goal", "place", "python"),
    [("moved", "/elsewhere", ""), ("of another Python", str(ROOT), "other"), ("fitting", str(ROOT), "")],
)
def test_an_unsuitable_environment_is_rebuilt(tmp_path: Path, goal: str, place: str, python: str) -> None:
    """One of a checkout that was moved, or of another Python than the requested one."""
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    command(tmp_path / "venv" / "bin", "python", 'exec {python} "$@"')
    command(tmp_path, "other", "echo another one")
    (tmp_path / "venv" / ".python").write_text(f"{place}\n")
    printed(tmp_path, "true", **({"PYTHON": python} if python else {}))
    assert (tmp_path / "venv" / ".python").exists() == (goal == "fitting")


def test_downloads_trust_the_systems_authorities(tmp_path: Path) -> None:
    """A company's own is there; explicit settings take precedence."""
    told = printed(tmp_path, "$(TRUST) env", SSL_CERT_FILE="/company.pem").splitlines()
    assert {"UV_SYSTEM_CERTS=true", "REQUESTS_CA_BUNDLE=/company.pem"} <= set(told)
    told = printed(tmp_path, "$(TRUST) env", UV_SYSTEM_CERTS="false", REQUESTS_CA_BUNDLE="/own.pem").splitlines()
    assert {"UV_SYSTEM_CERTS=false", "REQUESTS_CA_BUNDLE=/own.pem"} <= set(told)
