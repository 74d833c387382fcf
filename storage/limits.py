"""How long PostgreSQL lets things of ours last, and where that is held."""

from collections.abc import Mapping

import psycopg
from psycopg import sql

LIMITS: Mapping[str, str] = {
    "statement_timeout": "20s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "30s",
    "client_connection_check_interval": "1s",
}


SET_LIMITS = sql.SQL("SELECT pg_backend_pid(), ARRAY[{}]::text[]").format(
    sql.SQL(", ").join(
        sql.SQL("set_config({}, {}, false)").format(sql.Literal(name), sql.Literal(value))
        for name, value in LIMITS.items()
    )
)
"""Sets them for the session; returns the process that serves it, and the limits."""


def set_limits_served_by(process: int) -> sql.Composed:
    """Does the same where this process serves the session, and sets nothing on the connection of a pooler."""
    return sql.SQL("SELECT pg_backend_pid(), ARRAY[{}]::text[]").format(
        sql.SQL(", ").join(
            sql.SQL("CASE pg_backend_pid() WHEN {} THEN set_config({}, {}, false) ELSE '0' END").format(
                sql.Literal(process), sql.Literal(name), sql.Literal(value)
            )
            for name, value in LIMITS.items()
        )
    )


_DEFAULT = """
    (SELECT substr(setting, strpos(setting, '=') + 1) FROM pg_db_role_setting, unnest(setconfig) AS setting
      WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND setrole = (SELECT oid FROM pg_roles WHERE rolname = session_user) AND setting LIKE {0} || '=%')
"""
LOOK_AT_LIMITS = sql.SQL("SELECT pg_backend_pid(), ARRAY[{}]::text[]").format(
    sql.SQL(", ").join(
        sql.SQL(
            "CASE current_setting({0}) WHEN '0' THEN coalesce(set_config({0}, " + _DEFAULT + ", false), '0')"
            " ELSE current_setting({0}) END"
        ).format(sql.Literal(name))
        for name in LIMITS
    )
)
"""Returns the same without setting anything that the role's defaults do not say.

A pooler's connection that is older than these defaults is given them.
"""


def hold_limits(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Makes them the defaults of the role that is connected, in this database; each role may do so for itself."""
    database = connection.execute("SELECT current_database()").fetchone()
    assert database is not None  # noqa: S101 - one row
    for name, value in LIMITS.items():
        connection.execute(
            sql.SQL("ALTER ROLE SESSION_USER IN DATABASE {} SET {} = {}").format(
                sql.Identifier(str(database[0])), sql.Identifier(name), sql.Literal(value)
            )
        )
    connection.execute(SET_LIMITS)
