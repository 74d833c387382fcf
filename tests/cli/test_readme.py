"""The README's blocks work as printed."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from tests.cli.test_serve import read, serve
from tests.process.commands import bare_environment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str, heading: str) -> list[str]:
    """The blocks of a language below a heading."""
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


class Reader:
    """Pastes the README's blocks into a shell, in the folder of a running server."""

    def __init__(self, folder: Path, address: str) -> None:
        self._folder = folder
        self._address = address
        self._pasted: list[str] = []

    def paste(self, *pasted: str) -> str:
        """The shell's output for these blocks, run after the remembered ones; they must not fail."""
        again = "".join(self._pasted)
        script = self._here(f"set -e\n{{ {again or ':'}\n}} >/dev/null\n{''.join(pasted)}")
        shell = subprocess.run(["sh", "-c", script], **self._run)  # type: ignore[call-overload]  # noqa: S607
        assert shell.returncode == 0, shell.stderr
        return str(shell.stdout)

    def remember(self, *pasted: str) -> None:
        """Runs these blocks before all later ones."""
        self._pasted += pasted

    def python(self, block: str, **environment: str) -> str:
        """The output of a Python file with this text."""
        (self._folder / "order.py").write_text(self._here(block))
        command = [sys.executable, "order.py"]
        ended = subprocess.run(command, **{**self._run, "env": bare_environment(**environment)})  # type: ignore[call-overload]
        assert ended.returncode == 0, ended.stderr
        return str(ended.stdout)

    @property
    def _run(self) -> Mapping[str, object]:
        return {"cwd": self._folder, "env": bare_environment(), "capture_output": True, "text": True, "timeout": 120}

    def _here(self, text: str) -> str:
        """The text with this server's port."""
        return text.replace("127.0.0.1:50051", self._address)


@pytest.fixture
async def reader(tmp_path: Path) -> AsyncIterator[Reader]:
    """A folder like a checkout after `make run`, while that keeps running."""
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    with serve(tmp_path) as process:
        assert process.stdout is not None
        try:
            said = await asyncio.wait_for(asyncio.to_thread(read, process.stdout, "replays one real day"), 300)
            address = re.search(r"gRPC on (\S+:\d+)", said)
            assert address
            yield Reader(tmp_path, address[1])
            process.terminate()
            assert await asyncio.to_thread(process.wait, 60) == 0
        finally:
            process.kill()


async def test_the_readmes_blocks_can_be_pasted(reader: Reader) -> None:
    """A paid order, a registration, and an order from Python, one after the other, as a reader does it."""
    await asyncio.to_thread(read_on, reader)


def read_on(reader: Reader) -> None:
    run, signing_in, ordering = blocks("sh", "A paid order, in a minute")
    assert run == "make run\n"
    reader.remember(signing_in)
    assert '"ORDER_STATE_PAID"' in reader.paste(ordering).splitlines()[-1]
    (registering,) = blocks("sh", "Registering a user")
    *_, tokens = re.findall(r"^\{$.*?^\}$", reader.paste(registering), re.MULTILINE | re.DOTALL)
    assert json.loads(tokens)["tokens"]["accessToken"]
    (key,) = blocks("sh", "Calling it from Python")
    (sample,) = blocks("python", "Calling it from Python")
    made = reader.paste(key, 'echo "$TILL_KEY"\n').strip()
    assert re.fullmatch(r"[0-9a-f-]{36}\n", reader.python(sample, TILL_KEY=made))


def test_pasted_blocks_contain_no_comments() -> None:
    """An interactive zsh does not treat # as a comment."""
    for block in re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        assert not re.search(r"(^|\s)#", block)


def test_every_command_in_the_readme_exists() -> None:
    """Of make and of backroom."""
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z0-9-]+)", README))
    assert named
    assert named <= targets
