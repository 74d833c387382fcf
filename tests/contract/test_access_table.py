"""docs/access.md is current, and the server decides as each of its cells says."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from server.cli import access_table
from server.cli.access_table import ANONYMOUS, COLUMNS, NO_ROLE, PATH, made_table, services
from tests.contract.hostile import filled
from tests.contract.methods import METHODS, SERVICES, Method
from tests.contract.test_every_method import reason
from tests.fixtures.roles import PERMISSIONS, ROLES
from tests.fixtures.servers import Api, Running

_HEADING = re.compile(r"## ((?:backroom|flagd)\.\S+)")
_ROW = re.compile(r"\| (\w+) \| [^|]+ \|((?: (?:yes)? ?\|)+)")


def cells() -> Mapping[tuple[str, str], bool]:
    """The committed page: by method and column, whether the call is allowed."""
    found: dict[tuple[str, str], bool] = {}
    service = ""
    for line in PATH.read_text().splitlines():
        if heading := _HEADING.fullmatch(line):
            service = heading[1]
        elif line.startswith("## "):
            service = ""
        elif service and (row := _ROW.fullmatch(line)):
            values = [value.strip() == "yes" for value in row[2].split("|")[:-1]]
            found |= {(f"/{service}/{row[1]}", column): value for column, value in zip(COLUMNS, values, strict=True)}
    return found


CELLS = cells()


async def caller(server: Running, column: str) -> Api:
    if column == ANONYMOUS:
        return server.anonymous
    return await server.sign_in(*([] if column == NO_ROLE else [column]))


def test_the_page_is_current() -> None:
    """`make access` would write exactly this page."""
    assert PATH.read_text() == made_table()


def test_the_page_has_a_cell_for_every_method_and_every_role() -> None:
    """A column also for an account without roles, and for a caller without a token."""
    assert set(CELLS) == {(str(method), column) for method in METHODS for column in (ANONYMOUS, NO_ROLE, *ROLES)}
    assert len(CELLS) == len(METHODS) * (2 + len(ROLES))
    assert {service.full_name for service in services()} == {service.full_name for service in SERVICES}


def test_the_page_has_a_row_for_every_permission() -> None:
    """The row lists the methods that require it."""
    rows = re.findall(r"^\| `([a-z_.]+)` \| (\S[^|]*) \|", PATH.read_text(), re.MULTILINE)
    assert {permission for permission, _ in rows} == PERMISSIONS


async def decided(api: Api, method: Method) -> str:
    """Whether the call was allowed, or why not."""
    found = await reason(api, method, filled(method.takes).SerializeToString())
    return found if found in ("TOKEN_INVALID", "PERMISSION_MISSING") else "let in"


@pytest.mark.parametrize("column", COLUMNS)
async def test_every_cell_is_as_the_server_decides(server: Running, column: str) -> None:
    """A caller of each column calls each method with the simplest valid request."""
    refusal = "TOKEN_INVALID" if column == ANONYMOUS else "PERMISSION_MISSING"
    api = await caller(server, column)
    for method in METHODS:
        # The caller gets another session each time: the request may end all sessions of its caller.
        calling = await caller(server, column) if "Session" in method.name else api
        expected = "let in" if CELLS[str(method), column] else refusal
        assert await decided(calling, method) == expected, (str(method), column)


def test_a_page_that_is_not_current_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The check says what to do, and writes nothing."""
    stale = PATH.read_text().replace(" yes |", "  |", 1)
    page = tmp_path / "access.md"
    page.write_text(stale)
    monkeypatch.setattr(access_table, "PATH", page)
    monkeypatch.setattr("sys.argv", ["access_table", "--check"])
    with pytest.raises(SystemExit, match="make access"):
        access_table.main()
    assert page.read_text() == stale
    monkeypatch.setattr("sys.argv", ["access_table"])
    access_table.main()
    assert page.read_text() == made_table()
