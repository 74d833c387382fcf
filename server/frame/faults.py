"""Errors that nobody foresaw, as the log may know them."""

import traceback
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def described(error: BaseException) -> str:
    """Where an error came from, for the log: its kind and its stack, and never its text, which may quote a payload."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "interceptors" not in frame.filename]
    stack = " < ".join(f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in reversed(ours))
    cause = error.__cause__
    return f"{type(error).__name__}{f' from {type(cause).__name__}' if cause else ''} at {stack}"


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) and ".venv" not in path.parts else path.name
