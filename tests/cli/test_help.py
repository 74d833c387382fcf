"""The command's help, and shell completion."""

import os
import subprocess

import pytest

from tests.process.commands import BACKROOM, backroom_here, bare_environment


def test_without_a_command_it_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """As --help does."""
    bare, asked = backroom_here(capsys), backroom_here(capsys, "--help")
    assert (bare.code, bare.err) == (asked.code, asked.err) == (0, "")
    for command in ("serve", "demo", "doctor", "audit"):
        assert f" {command} " in bare.out
    assert bare.out.strip() == asked.out.strip()


def test_the_version_is_printed_with_its_platform(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever fixes a defect asks for it first."""
    said = backroom_here(capsys, "--version")
    first, *rest = said.out.splitlines()
    assert said.code == 0
    assert first.startswith("backroom ")
    assert [line.split()[0] for line in rest[:3]] == ["Python", "libpq", "gRPC"]


@pytest.mark.parametrize(("typed", "meant"), [("sevre", "serve"), ("doctr", "doctor"), ("verifi", "verify")])
def test_a_mistyped_command_is_answered_with_a_suggestion(
    capsys: pytest.CaptureFixture[str], typed: str, meant: str
) -> None:
    """With exit code 2, as for any usage error."""
    said = backroom_here(capsys, typed)
    assert said.code == 2
    assert f"No such command '{typed}'. Did you mean '{meant}'" in said.err


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("backroom au", ["audit"]), ("backroom audit ", ["verify", "list"]), ("backroom verify --j", ["--json"])],
)
@pytest.mark.slow
def test_a_shell_completes_commands_and_options(typed: str, completed: list[str]) -> None:
    """With the script that --show-completion prints, in bash."""
    asked = {"_TYPER_COMPLETE_ARGS": typed, "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    environment = {**bare_environment(), "_BACKROOM_COMPLETE": "complete_bash", **asked}
    ended = subprocess.run([BACKROOM], env=environment, capture_output=True, text=True, timeout=300)
    assert ended.stdout.split() == completed


@pytest.mark.slow
def test_the_completion_is_a_valid_bash_script() -> None:
    """Nothing else is printed, so that `source` can read it."""
    shell = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = subprocess.run(
        [BACKROOM, "--show-completion", "bash"],
        env={**os.environ, **shell},
        capture_output=True,
        text=True,
        timeout=300,
    )
    taken = subprocess.run(["bash", "-n"], input=script.stdout, capture_output=True, text=True)  # noqa: S607
    assert (script.returncode, taken.returncode, taken.stderr) == (0, 0, "")
    assert "backroom" in script.stdout
