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

MESSAGES, SHOWN = "client_min_messages", "warning"
"""By a warning PostgreSQL tells that a commit was not confirmed by the synchronous standby: `storage.durability`."""
HIDING_WARNINGS = frozenset({"error", "fatal", "panic"})
"""The values of that setting by which it does not."""

_SELECT = "SELECT pg_backend_pid(), ARRAY[{}]::text[], "

SET_LIMITS = sql.SQL(_SELECT + "set_config({}, {}, false) AS messages").format(
    sql.SQL(", ").join(
        sql.SQL("set_config({}, {}, false)").format(sql.Literal(name), sql.Literal(value))
        for name, value in LIMITS.items()
    ),
    sql.Literal(MESSAGES),
    sql.Literal(SHOWN),
)
"""Sets them for the session; returns the process that serves it, the limits, and which messages are shown."""


def set_limits_served_by(process: int) -> sql.Composed:
    """Does the same where this process serves the session, and sets nothing on the connection of a pooler."""
    serves = sql.Literal(process)
    messages = "CASE pg_backend_pid() WHEN {} THEN set_config({}, {}, false) ELSE '' END AS messages"
    return sql.SQL(_SELECT + messages).format(
        sql.SQL(", ").join(
            sql.SQL("CASE pg_backend_pid() WHEN {} THEN set_config({}, {}, false) ELSE '0' END").format(
                serves, sql.Literal(name), sql.Literal(value)
            )
            for name, value in LIMITS.items()
        ),
        serves,
        sql.Literal(MESSAGES),
        sql.Literal(SHOWN),
    )


_DEFAULT = """
    (SELECT substr(setting, strpos(setting, '=') + 1) FROM pg_db_role_setting, unnest(setconfig) AS setting
      WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND setrole = (SELECT oid FROM pg_roles WHERE rolname = session_user) AND setting LIKE {0} || '=%')
"""
READ_LIMITS = sql.SQL(_SELECT + "current_setting({}) AS messages").format(
    sql.SQL(", ").join(
        sql.SQL(
            "CASE current_setting({0}) WHEN '0' THEN coalesce(set_config({0}, " + _DEFAULT + ", false), '0')"
            " ELSE current_setting({0}) END"
        ).format(sql.Literal(name))
        for name in LIMITS
    ),
    sql.Literal(MESSAGES),
)
"""Returns the same without setting anything that the role's defaults do not say.

A pooler's connection that is older than these defaults is given them.
"""


def set_role_limits(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Makes them the defaults of the role that is connected, in this database; each role may do so for itself."""
    database = connection.execute("SELECT current_database()").fetchone()
    assert database is not None  # noqa: S101 - one row
    for name, value in (*LIMITS.items(), (MESSAGES, SHOWN)):
        connection.execute(
            sql.SQL("ALTER ROLE SESSION_USER IN DATABASE {} SET {} = {}").format(
                sql.Identifier(str(database[0])), sql.Identifier(name), sql.Literal(value)
            )
        )
    connection.execute(SET_LIMITS)
