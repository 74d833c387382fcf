"""A PostgreSQL that is too old, if the machine has one."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.embedded.account import account_for

PROGRAMS = next((path for path in (Path(f"/usr/lib/postgresql/{n}/bin") for n in (15, 14, 13)) if path.is_dir()), None)


@contextmanager
def postgres_15(folder: Path) -> Iterator[str]:
    """The URL of one that runs within the block; or of the next older one that is installed."""
    assert PROGRAMS is not None
    account, data = account_for(None), folder / "data"
    data.mkdir(mode=0o700)
    account.own(data)

    def run(program: str, *arguments: str) -> None:
        command = account.command([str(PROGRAMS / program), *arguments], [data])
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=300)

    run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-N")
    options = f"-h '' -k '{data}' -F"
    run("pg_ctl", "-D", str(data), "-w", "-l", str(data / "log"), "-o", options, "start")
    try:
        yield f"postgresql://postgres@/postgres?host={data}"
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
