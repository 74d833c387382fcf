"""The command `backroom`, run as an operator runs it."""

import asyncio
import io
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.cli.app import main
from server.settings import names
from tests.fixtures.forking import forked

BACKROOM = str(Path(sys.executable).with_name("backroom"))


@dataclass(frozen=True)
class Finished:
    """The exit code and the output of a command."""

    code: int | None
    out: str
    err: str


def bare_environment(**settings: str) -> Mapping[str, str]:
    """The environment with only these settings."""
    return {**{name: value for name, value in os.environ.items() if name not in names()}, **settings}


async def backroom(*arguments: str, **settings: str) -> Finished:
    """Runs a command to its end, in a process of its own, in an empty folder, with only these settings."""
    with tempfile.TemporaryDirectory(prefix="backroom-") as folder:
        environment = bare_environment(**settings)
        process = await forked("server", *arguments, environment=environment, folder=folder)
        try:
            async with asyncio.timeout(300):
                output = await asyncio.gather(process.stdout.read(), process.stderr.read())
                return Finished(await process.wait(), *(each.decode() for each in output))
        finally:
            process.kill()


def backroom_here(
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
    given: str | bytes = "",
    within: str = "",
    **settings: str,
) -> Finished:
    """The same within this process and with a standard input, in a fraction of the time; a coroutine needs a thread."""
    with (
        pytest.MonkeyPatch.context() as patched,
        tempfile.TemporaryDirectory(prefix="backroom-") as empty,
        _umask_kept(),
    ):
        for name in names():
            patched.delenv(name, raising=False)
        for name, value in settings.items():
            patched.setenv(name, value)
        patched.chdir(within or empty)
        patched.setattr(sys, "argv", ["backroom", *arguments])
        typed = given if isinstance(given, bytes) else given.encode()
        patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    return Finished(code if isinstance(code, int) else int(code is not None), *capsys.readouterr())


@contextmanager
def _umask_kept() -> Iterator[None]:
    """Restores the umask: a command sets its process's, which is the tests' here."""
    before = os.umask(0o022)
    os.umask(before)
    try:
        yield
    finally:
        os.umask(before)
