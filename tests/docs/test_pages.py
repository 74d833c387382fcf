"""Links are valid, the index of decisions is complete, and README names what the HTTP side has."""

import re
from pathlib import Path

import pytest
from starlette.routing import Route

from tests.fixtures.servers import Running

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
DECISIONS = sorted(ROOT.glob("docs/decisions/0*.md"))

_LINK = re.compile(r"\]\(([^)#\s]+)(?:#([^)\s]+))?\)")
_ROW = re.compile(r"^\| \[(\d+)\]\((\S+)\) \| .+ \| (.+) \|$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_of_a_page_is_valid(page: Path) -> None:
    """A link names a file of this checkout, and an anchor in it a heading."""
    for target, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        found = (page.parent / target).resolve()
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), f"{target}#{anchor}"


def test_the_index_lists_each_decision_by_number() -> None:
    """The rows are the files, in order."""
    rows = _ROW.findall((ROOT / "docs/decisions/README.md").read_text(encoding="utf-8"))

    assert [(int(number), name) for number, name, _ in rows] == [(int(each.name[:4]), each.name) for each in DECISIONS]


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda decision: decision.name[:4])
def test_a_decision_begins_with_the_status_in_the_index(decision: Path) -> None:
    """Both pages say which decision has replaced it."""
    lines = decision.read_text(encoding="utf-8").splitlines()
    index = {name: status for _, name, status in _ROW.findall((ROOT / "docs/decisions/README.md").read_text("utf-8"))}

    assert lines[2].startswith("**Status.** ")
    status = lines[2].removeprefix("**Status.** ").rstrip(".")
    assert status.lower().startswith(index[decision.name].lower())


def test_readme_names_the_paths_of_the_http_side(server: Running) -> None:
    """Each route of a module begins with one of them."""
    [line] = re.findall(r"^The HTTP side has (.+)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = tuple(each.split("{")[0] for each in re.findall(r"`(/[^`]+)`", line))
    paths = [each.path for each in server.application.routes if isinstance(each, Route)]

    assert paths
    assert [each for each in paths if not each.startswith(named)] == []
