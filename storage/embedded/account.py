"""Whom PostgreSQL runs as: this process's user, and for root, as which it does not run, another.

No user is made, and no folder is opened to others. Where that other user cannot reach the programs or the data, below
root's home for example, PostgreSQL is given the one capability that lets it pass, and no other.
"""

import os
import pwd
import stat
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from storage.embedded.binaries import Binaries
from storage.embedded.errors import EmbeddedPostgresFailed

_NOBODY = "nobody"
"""Is on every system, which counts: initdb looks its user up by the number."""
_HELPER = Path(__file__).with_name("as_user.py")
_PASSES = {"CAP_DAC_READ_SEARCH": 2, "CAP_DAC_OVERRIDE": 1}
"""What passes closed folders, the lesser first, by the numbers of linux/capability.h."""
_NEEDED = {"CAP_CHOWN": 0, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SETPCAP": 8}


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this system."""

    uid: int
    gid: int
    differs: bool
    """Whether it is another than this process's."""

    def own(self, path: Path) -> None:
        """Gives this user a file or a folder of ours."""
        if self.differs:
            os.chown(path, self.uid, self.gid)

    def command(self, arguments: Sequence[str], reached: Iterable[Path]) -> list[str]:
        """What runs a program as this user, who can reach these paths then; raises EmbeddedPostgresFailed."""
        if not self.differs:
            return list(arguments)
        closed = next((path for path in reached if not self._reaches(path)), None)
        capability = self._passing(closed)
        # Isolated and without site: it needs the standard library alone, and nothing of the environment's.
        python = (sys.executable, "-I", "-S", str(_HELPER))
        return [*python, str(self.uid), str(self.gid), str(capability), *arguments]

    def _passing(self, closed: Path | None) -> int:
        """The number of the capability to run with; -1 where nothing is closed."""
        held = _permitted()
        passing = [number for number in _PASSES.values() if held is None or held >> number & 1]
        if held is None and closed is None:  # not Linux: root has no limits there
            return -1
        migration_problem = [name for name, number in _NEEDED.items() if not (held or 0) >> number & 1]
        if held is None or migration_problem or not passing:
            missing = migration_problem[0] if migration_problem and passing else " or ".join(_PASSES)
            raise EmbeddedPostgresFailed(
                "PostgreSQL does not run as root, and to run it"
                f" as {_name(self.uid)} this process lacks the capability {missing};"
                " run it as an ordinary user, or set DATABASE_URL"
            )
        return -1 if closed is None else passing[0]

    def _reaches(self, path: Path) -> bool:
        """Whether the modes of the path and of the folders above let this user read it."""
        resolved = path.resolve()
        return self._may(resolved, 5) and all(self._may(parent, 1) for parent in resolved.parents)

    def _may(self, path: Path, wanted: int) -> bool:
        found = path.stat()
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
        return stat.S_IMODE(found.st_mode) >> shift & wanted == wanted


def account_for(data: Path | None) -> Account:
    """Who is to run PostgreSQL on a data folder, None being one that is to be made; raises EmbeddedPostgresFailed."""
    uid = os.geteuid()
    owner = data.stat() if data is not None else None
    if uid != 0:
        if owner is not None and owner.st_uid != uid:
            raise EmbeddedPostgresFailed(
                f"{data} belongs to the user {_name(owner.st_uid)}; run it as that user, or choose a folder of your own"
            )
        return Account(uid, os.getegid(), differs=False)
    if owner is not None and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid, differs=True)
    try:
        nobody = pwd.getpwnam(_NOBODY)
    except KeyError:
        raise EmbeddedPostgresFailed(
            f"PostgreSQL does not run as root, and there is no user {_NOBODY} here;"
            " run it as an ordinary user, or set DATABASE_URL"
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid, differs=True)


def reached_by(binaries: Binaries) -> list[Path]:
    """What must be readable of the programs; the rest was installed in the same way."""
    return [binaries.program("postgres"), binaries.folder / "lib", binaries.folder / "share"]


def _permitted() -> int | None:
    """This process's capabilities, a bit each; None where the system has no such thing."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapPrm:"))


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
