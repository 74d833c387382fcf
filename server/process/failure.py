"""How a command ends that failed."""


class Failure(Exception):
    """A command cannot do what it is for; the text says why, and the fix, in a line or a few."""

    exit_code = 1


class Interrupted(Failure):
    """Somebody pressed Ctrl-C, and did not wait for the end."""

    exit_code = 130
    """As shells have it: 128 and the signal's number."""
