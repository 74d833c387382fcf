"""This program again, in a process of its own."""

import sys


def this_program(*words: str) -> tuple[str, ...]:
    """The command line that runs `backroom` with these words, by the same Python and the same packages.

    A package `server` in the current folder is somebody else's: without -P it would run instead.
    """
    return (sys.executable, "-P", "-m", "server", *words)
