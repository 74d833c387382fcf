"""docs/log-events.md names each event that the source logs, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for folder in ("server", "storage", "sandbox", "migrations") for path in (ROOT / folder).rglob("*.py")]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def logged(path: Path) -> Iterator[str]:
    """The events that a file logs: the names passed to its loggers and its outages."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called == "Outage":
            for event in node.args[1:]:
                yield from names_of(event, tree)
        elif called.rpartition(".")[2] in LEVELS and "logger" in called.rpartition(".")[0] and "stdlib" not in called:
            yield from names_of(node.args[0], tree)
        elif called == "self._renamed":
            yield from names_of(node.args[1], tree)


def names_of(event: ast.expr, tree: ast.Module) -> Iterator[str]:
    """The names that an expression may have, through constants and variables of its file."""
    if isinstance(event, ast.Constant):
        yield str(event.value)
    elif isinstance(event, ast.IfExp):
        yield from names_of(event.body, tree)
        yield from names_of(event.orelse, tree)
    elif isinstance(event, ast.Starred):
        yield from names_of(event.value, tree)
    elif isinstance(event, ast.Tuple):
        for each in event.elts:
            yield from names_of(each, tree)
    elif isinstance(event, ast.Name):
        assigned = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and any(ast.unparse(each) == event.id for each in node.targets)
        ]
        assert assigned, f"{event.id}: an event is a name that can be found in its file"
        for each in assigned:
            yield from names_of(each, tree)
    else:
        assert ast.unparse(event) in ("self._begin_event", "self._end_event"), f"{ast.unparse(event)}: not a name"


def test_each_logged_event_is_on_the_page() -> None:
    """And the page has no event that is never logged."""
    page = (ROOT / "docs/log-events.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    found = {event for path in SOURCES for event in logged(path)}

    assert sorted(listed) == sorted(found)


def test_each_event_is_a_snake_case_name() -> None:
    """Programs that read the log search for a name."""
    for path in SOURCES:
        for event in logged(path):
            assert re.fullmatch(r"[a-z]+(_[a-z]+)*", event), f"{path.name}: {event}"
