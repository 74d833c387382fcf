"""Refuses a contract that breaks the callers of the promised one, which is that of the commit in proto/BASELINE."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import contract
from contract import PROTO, ROOT, THIRD_PARTY, ContractError

BASELINE = PROTO / "BASELINE"
NOTHING_PROMISED = "none"


def promised(baseline: str) -> str | None:
    """The commit that a BASELINE file names; None where it says that nothing is promised yet."""
    lines = [line.strip() for line in baseline.splitlines()]
    said = [line for line in lines if line and not line.startswith("#")]
    if said == [NOTHING_PROMISED]:
        return None
    if len(said) != 1 or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", said[0]):
        raise ContractError('proto/BASELINE holds neither one whole commit id nor "none"')
    return said[0]


def compare(revision: str) -> bool:
    """Whether buf finds nothing that breaks the callers of the contract of a revision; it prints what it finds."""
    commit = _commit_of(revision)
    contract.lay_out()
    with tempfile.TemporaryDirectory() as folder:
        archive = _git("archive", "--format=tar", commit, "buf.yaml", "proto").stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        # What it imports is the same for both: packages are compared by no one.
        shutil.copytree(THIRD_PARTY, Path(folder) / THIRD_PARTY.relative_to(ROOT), dirs_exist_ok=True)
        with contract.buf() as buf:
            return subprocess.run([buf, "breaking", "--against", folder], cwd=ROOT).returncode == 0


def _commit_of(revision: str) -> str:
    found = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if found.returncode:
        fetch = f"git fetch --depth 1 origin {revision}"
        raise ContractError(f"this clone, which may be a shallow one, has no commit {revision}: {fetch}")
    return found.stdout.decode().strip()


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", str(ROOT), *arguments], stdout=subprocess.PIPE)
    except FileNotFoundError:
        raise ContractError("git is not installed, and the promised contract is to be read from it") from None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", metavar="REVISION", help="compare with this revision's contract instead")
    against = parser.parse_args().against
    try:
        revision = against or promised(BASELINE.read_text())
        if revision is None:
            print("breaking: nothing compared: no contract is promised yet (proto/BASELINE says none)")
        elif compare(revision):
            print(f"breaking: nothing breaks the callers of the contract of {revision}")
        else:
            sys.exit(f"breaking: the above breaks the callers of the contract of {revision}")
    except ContractError as error:
        sys.exit(f"breaking: {error}")


if __name__ == "__main__":
    main()
