"""This program as the system has it: how to run it again, and for how long it has existed."""

import os
import sys
import time
from pathlib import Path

_STARTED = 21
"""Which field of /proc/PID/stat, counted from 0, holds the process's start, in ticks since the machine's."""


def this_program(*words: str) -> tuple[str, ...]:
    """The command line that runs `backroom` with these words, by the same Python and the same packages.

    A package `server` in the current folder is somebody else's: without -P it would run instead.
    """
    return (sys.executable, "-P", "-m", "server", *words)


def process_age() -> float | None:
    """For how many seconds this process has been there, imports and all; None where the system does not say."""
    try:
        # The command's name, in brackets, may contain blanks.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[_STARTED - 2]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, ValueError, IndexError, AttributeError):
        return None
    return age if age >= 0 else None
