"""`make breaking`, in a separate repository with this contract: a change that breaks the promised one is refused."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.proto_comments import PROTO

pytestmark = pytest.mark.slow

ROOT = PROTO.parents[1]
GIT = shutil.which("git") or "git"
AUTHOR = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Somebody"), ("EMAIL", "somebody@example.com"))
}


def git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(
        [GIT, "-C", str(repository), "-c", "init.defaultBranch=main", *arguments],
        env={**os.environ, **AUTHOR, "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def breaking(repository: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "proto/breaking.py"], cwd=repository, capture_output=True, text=True, timeout=300
    )


def promise(repository: Path, said: str) -> None:
    (repository / "proto" / "BASELINE").write_text(f"# a comment\n{said}\n")


def edit(repository: Path, old: str, new: str) -> None:
    path = repository / "proto/backroom/commerce/v1/stock.proto"
    source = path.read_text()
    assert source.count(old) == 1
    path.write_text(source.replace(old, new))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """This contract, committed with the protos that it imports, with nothing promised yet."""
    into = tmp_path / "clone"
    shutil.copytree(
        ROOT / "proto", into / "proto", ignore=lambda folder, _: ["backroom", "buf"] * folder.endswith("gen")
    )
    for file in ("buf.yaml", "requirements/validate.txt", "requirements/runtime.txt", ".gitignore"):
        (into / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, into / file)
    git(into, "init", "-q")
    git(into, "add", ".")
    git(into, "commit", "-q", "-m", "The contract")
    promise(into, "none")
    return into


def test_the_baseline_of_this_repository_can_be_read() -> None:
    """It holds one full commit id, or says that nothing is promised yet."""
    done = breaking(ROOT)
    assert done.returncode == 0, done.stderr + done.stdout


def test_a_removed_field_breaks_the_promised_contract(repository: Path) -> None:
    """The refusal names the field and both commits."""
    promise(repository, commit := git(repository, "rev-parse", "HEAD"))
    edit(repository, "  int64 available = 4;\n", "")
    done = breaking(repository)
    assert done.returncode != 0
    assert "stock.proto" in done.stdout
    assert '"available"' in done.stdout
    assert commit in done.stderr


def test_an_added_field_breaks_nothing(repository: Path) -> None:
    """Adding a field is compatible."""
    promise(repository, commit := git(repository, "rev-parse", "HEAD"))
    edit(repository, "  int64 available = 4;\n", "  int64 available = 4;\n  // On its way.\n  int64 ordered = 5;\n")
    done = breaking(repository)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"breaking: nothing breaks the callers of the contract of {commit}\n"


def test_the_check_says_that_nothing_is_promised(repository: Path) -> None:
    """The same removal then passes with one line that says why."""
    edit(repository, "  int64 available = 4;\n", "")
    done = breaking(repository)
    assert done.returncode == 0
    assert done.stdout == "breaking: nothing compared: no contract is promised yet (proto/BASELINE says none)\n"


def test_a_clone_without_the_promised_commit_says_what_to_fetch(repository: Path, tmp_path: Path) -> None:
    """A shallow clone fails; after the fetch that it suggests, it compares."""
    promised = git(repository, "rev-parse", "HEAD")
    git(repository, "commit", "-q", "-m", "Another one", "--allow-empty")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    shallow = tmp_path / "shallow"
    shutil.copytree(repository / "proto" / "gen", shallow / "proto" / "gen")
    promise(shallow, promised)
    edit(shallow, "  int64 available = 4;\n", "")
    done = breaking(shallow)
    assert done.returncode != 0
    assert f"git fetch --depth 1 origin {promised}" in done.stderr
    git(shallow, "fetch", "-q", "--depth", "1", "origin", promised)
    done = breaking(shallow)
    assert done.returncode != 0
    assert '"available"' in done.stdout


@pytest.mark.parametrize("said", ["", "main", "0123abc", "none\nnone"])
def test_a_baseline_that_says_neither_is_refused(repository: Path, said: str) -> None:
    """A branch's name can move, and an abbreviated id can become ambiguous."""
    promise(repository, said)
    done = breaking(repository)
    assert done.returncode != 0
    assert "proto/BASELINE" in done.stderr
