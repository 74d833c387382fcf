"""Where the command `backroom` begins, and `python -m server`."""

import sys


def main() -> None:
    """Runs the command; all that takes a moment to import is imported where Ctrl-C ends it without a traceback."""
    try:
        from server.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
