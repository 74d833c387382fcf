"""The other servers, each in a separate process that is ready, and is stopped at the end of the block."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.running import running, serving_line


@dataclass(frozen=True, slots=True)
class Served:
    address: str
    """As "127.0.0.1:port"."""
    pid: int
    log: Path


@contextmanager
def usual(
    url: str,
    storage: Literal["orm", "core"],
    public_key: str,
    flags: Path | None = None,
    folder: Path | None = None,
) -> Iterator[Served]:
    """The usual stack on a database, in which it creates its tables; it accepts tokens for this public key, in PEM.

    `flags` is a file of flagd's JSON, whose flags it evaluates; files are stored in `folder`.
    """
    options = ["--url", url, "--storage", storage, *(["--flags", str(flags)] if flags else [])]
    options += ["--folder", str(folder)] if folder else []
    with _serving("bench.peers.usual", *options, JWT_PUBLIC_KEY=public_key) as served:
        yield served


@contextmanager
def echo() -> Iterator[Served]:
    """The bare gRPC echo."""
    with _serving("bench.peers.echo") as served:
        yield served


@contextmanager
def _serving(module: str, *options: str, **environment: str) -> Iterator[Served]:
    command = (sys.executable, "-m", module, "--port", "0", *options)
    with running(command, env=environment, ready=serving_line) as process:
        yield Served(f"127.0.0.1:{serving_line(process.log)['port']}", process.pid, process.log)
