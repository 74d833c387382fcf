"""What the role that serves may do with each table, and how it is given that."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql

from storage.base import APPEND_ONLY
from storage.errors import StoreUnavailable
from storage.problems import DatabaseProblem, ProblemKind
from storage.schema import METADATA, SCHEMAS

ALL = ("SELECT", "INSERT", "UPDATE", "DELETE")
APPENDING = ("SELECT", "INSERT")
APPENDED = frozenset(f"{table.schema}.{table.name}" for table in METADATA.sorted_tables if table.info == APPEND_ONLY)
"""The tables of which no server changes or deletes a row that stands there."""

_PUBLIC = """
    SELECT relname, relkind FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')
       AND (relname LIKE 'procrastinate\\_%' OR relname = 'alembic_version')
"""
_ROLE = "SELECT rolsuper, rolname = session_user FROM pg_roles WHERE rolname = %s"


def rights_to_serve() -> Sequence[tuple[str, str]]:
    """Each table by its name, with a right that serving on it needs."""
    names = [f"{table.schema}.{table.name}" for table in METADATA.sorted_tables]
    return [(name, right) for name in names for right in (APPENDING if name in APPENDED else ALL)]


def grant_to_serve(connection: psycopg.Connection[Any], role: str) -> None:
    """Gives a role what serving needs, and takes from it what it does not; raises StoreUnavailable where that fails."""
    found = connection.execute(_ROLE, (role,)).fetchone()
    if found is None:
        raise StoreUnavailable(DatabaseProblem(ProblemKind.ROLE, f'role "{role}" does not exist'))
    if found[0] or found[1]:
        raise StoreUnavailable(
            DatabaseProblem(ProblemKind.SERVING_ROLE, f'the role "{role}" {_TOO_MUCH[bool(found[0])]}')
        )
    with connection.transaction():
        for statement in _grants(connection, sql.Identifier(role)):
            connection.execute(statement)


_TOO_MUCH = {True: "is a superuser, whom nothing can be denied", False: "is the one that migrates"}


def _grants(connection: psycopg.Connection[Any], role: sql.Identifier) -> Iterator[sql.Composed]:
    row = connection.execute("SELECT current_database()").fetchone()
    assert row is not None  # noqa: S101 - one row
    yield sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(row[0]), role)
    for schema in (*SCHEMAS, "public"):
        yield sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), role)
        yield sql.SQL("REVOKE CREATE ON SCHEMA {} FROM {}").format(sql.Identifier(schema), role)
    for table in METADATA.sorted_tables:
        name = sql.Identifier(str(table.schema), table.name)
        yield sql.SQL("REVOKE ALL ON {} FROM {}").format(name, role)
        rights = APPENDING if f"{table.schema}.{table.name}" in APPENDED else ALL
        yield sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(", ".join(rights)), name, role)
    for name, kind in connection.execute(_PUBLIC).fetchall():
        rights_there = ("USAGE",) if kind == "S" else ("SELECT",) if name == "alembic_version" else ALL
        what = sql.SQL("SEQUENCE" if kind == "S" else "TABLE")
        place = sql.Identifier("public", name)
        yield sql.SQL("GRANT {} ON {} {} TO {}").format(sql.SQL(", ".join(rights_there)), what, place, role)
