"""Ctrl-C ends a command without a traceback, at any moment."""

import asyncio
import signal
import subprocess
import sys
from types import ModuleType

import pytest

from server.__main__ import main
from server.cli import jobs
from tests.cli.test_serve import read
from tests.fixtures.keys import MASTER_KEY
from tests.process.commands import BACKROOM, backroom_here, bare_environment

FREE = {"BACKROOM_GRPC_ADDRESS": "127.0.0.1:0", "BACKROOM_HTTP_ADDRESS": "127.0.0.1:0"}


def started(url: str, *options: str) -> "subprocess.Popen[str]":
    """A server that takes a minute to stop."""
    settings = {"DATABASE_URL": url, "BACKROOM_MASTER_KEY": MASTER_KEY, "LOG_LEVEL": "WARNING", **FREE}
    environment = bare_environment(**settings, BACKROOM_DRAIN_SECONDS="60")
    pipe = subprocess.PIPE
    return subprocess.Popen([BACKROOM, "serve", *options], env=environment, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "several"])
@pytest.mark.slow
async def test_a_second_ctrl_c_aborts_a_stop(database_url: str, options: tuple[str, ...]) -> None:
    """At once, with exit code 130 and one line that says so."""
    with started(database_url, *options) as process:
        assert process.stdout is not None
        try:
            await asyncio.wait_for(asyncio.to_thread(read, process.stdout, "Ctrl-C stops it."), 300)
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(1)  # two signals at once would count as one
            process.send_signal(signal.SIGINT)
            _, said = await asyncio.to_thread(process.communicate, timeout=300)
        finally:
            process.kill()
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("backroom: interrupted twice: ")
    assert "Traceback" not in said


def test_ctrl_c_while_the_command_is_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 130, as of any program that a signal ends."""

    class Loading(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "server.cli.app", Loading("server.cli.app"))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130


def test_ctrl_c_while_a_command_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed."""

    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "list_jobs", interrupted)
    ended = backroom_here(capsys, "jobs")
    assert (ended.code, ended.out, ended.err.strip()) == (130, "", "")


def test_an_inaccessible_file_is_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its name, and the system's message, for every command."""

    def refused(**_: object) -> None:
        raise PermissionError(13, "Permission denied", "/closed/file")

    monkeypatch.setattr(jobs, "list_jobs", refused)
    ended = backroom_here(capsys, "jobs")
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert ended.err.startswith("backroom: /closed/file: Permission denied")
