"""What PostgreSQL says of itself and of the role that asks: for whoever looks why something does not work."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from storage.connection import apply_limits, check_version, reasons
from storage.connector import Connector
from storage.errors import StoreUnavailable
from storage.limits import HIDING_WARNINGS, LIMITS, MESSAGES
from storage.pooler import Pooler
from storage.problems import problem_of
from storage.rights import rights_to_serve
from storage.schema import SCHEMAS
from storage.time_limits import TimeLimits


@dataclass(frozen=True, slots=True)
class Examination:
    """How things are; none of it was changed."""

    version: str
    revision: str | None
    """The migration that the database stands at; None where none was applied, and "" where that may not be read."""
    issuer: str | None
    """Whose database it is; None where nobody has claimed it, or that may not be read."""
    read_only: str
    """Why nothing can be written; empty where it can."""
    pooled: bool
    """Whether something stands between that gives its clients other connections than their own."""
    unlimited: Sequence[str]
    """The time limits that do not hold, and the setting that hides a commit's warnings where one does."""
    role: str
    synchronous_commit: str
    standbys: str
    """The synchronous ones that each commit waits for, as PostgreSQL has it set; empty where it waits for none."""
    connections: "Connections"
    lacks_to_serve: Sequence[str]
    lacks_to_migrate: Sequence[str]


@dataclass(frozen=True, slots=True)
class Connections:
    """Of the whole server, except where the role or the database have less."""

    most: int
    used: int
    ours: int
    """How many of those that are used are Backroom's."""
    bound: str
    """What there are no more because of, such as max_connections."""

    @property
    def left(self) -> int:
        """How many Backroom can have, its own included."""
        return max(0, self.most - self.used + self.ours)


async def examine(url: str, pooler: Pooler, limits: TimeLimits = TimeLimits()) -> Examination:  # noqa: B008
    """Raises StoreUnavailable where there is no connection, or to a server that is too old."""
    connector = Connector(url, application_name="backroom-doctor", pooler=pooler, limits=limits)
    with reasons(url):
        connection = await connector.connect(autocommit=True, row_factory=dict_row)
    async with connection:
        check_version(connection.pgconn)
        try:
            return await _examined(connection, pooler)
        except psycopg.Error as error:
            raise StoreUnavailable(problem_of(error)) from error


async def _examined(connection: psycopg.AsyncConnection[dict[str, Any]], pooler: Pooler) -> Examination:
    async def ask(query: Any, **values: object) -> dict[str, Any]:
        return await (await connection.execute(query, values or None)).fetchone() or {}

    limits = await ask(apply_limits(pooler, connection.pgconn))
    hiding = [MESSAGES] if limits["messages"] in HIDING_WARNINGS else []
    about = await ask(_ABOUT)
    revision = await ask("SELECT version_num FROM public.alembic_version") if about["readable"] else {}
    belongs_to = await ask("SELECT issuer FROM frame.environment") if about["claimable"] else {}
    tables, needed = zip(*rights_to_serve(), strict=True)
    rights = await ask(_RIGHTS, schemas=SCHEMAS, tables=list(tables), needed=list(needed))
    connections = await ask(_CONNECTIONS)
    return Examination(
        version=about["version"].split()[0],
        revision="" if about["readable"] is False else revision.get("version_num"),
        issuer=belongs_to.get("issuer"),
        read_only=about["read_only"],
        pooled=limits["pg_backend_pid"] != connection.pgconn.backend_pid,
        unlimited=[name for name, value in zip(LIMITS, limits["array"], strict=True) if value == "0"] + hiding,
        role=about["role"],
        synchronous_commit=about["synchronous_commit"],
        standbys=about["standbys"],
        connections=Connections(**connections),
        lacks_to_serve=rights["to_serve"],
        lacks_to_migrate=rights["to_migrate"],
    )


_ABOUT = """
    SELECT current_setting('server_version') AS version, session_user AS role,
           current_setting('synchronous_commit') AS synchronous_commit,
           current_setting('synchronous_standby_names') AS standbys,
           has_table_privilege(to_regclass('public.alembic_version')::oid, 'SELECT') AS readable,
           has_schema_privilege(to_regnamespace('frame')::oid, 'USAGE')
           AND has_table_privilege((SELECT oid FROM pg_class WHERE relname = 'environment'
                                       AND relnamespace = to_regnamespace('frame')), 'SELECT') AS claimable,
           CASE WHEN pg_is_in_recovery() THEN 'it is a standby'
                WHEN current_setting('transaction_read_only') = 'on' THEN 'default_transaction_read_only is on'
                ELSE '' END AS read_only
"""

_RIGHTS = """
    WITH wanted AS (
        SELECT 'the database' AS place, 'CONNECT' AS its_right,
               has_database_privilege(current_database(), 'CONNECT') AS held
        UNION ALL
        SELECT 'the schema ' || nspname, 'USAGE', has_schema_privilege(oid, 'USAGE')
          FROM pg_namespace WHERE nspname = ANY(%(schemas)s) OR nspname = 'public'
        UNION ALL
        SELECT name, its_right, has_table_privilege(c.oid, its_right)
          FROM (SELECT * FROM unnest(%(tables)s::text[], %(needed)s::text[]) AS of_ours (name, its_right)
                 UNION ALL
                SELECT 'public.' || relname, its_right
                  FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS its_right
                 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname LIKE 'procrastinate\\_%%'
               ) AS named
          JOIN (pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace) ON n.nspname || '.' || c.relname = name
         WHERE has_schema_privilege(n.oid, 'USAGE')
        UNION ALL
        SELECT 'public.alembic_version', 'SELECT', has_table_privilege(oid, 'SELECT')
          FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = 'alembic_version'
        UNION ALL
        SELECT 'the sequence ' || relname, 'USAGE', CASE relkind WHEN 'S' THEN has_sequence_privilege(oid, 'USAGE') END
          FROM pg_class
         WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace AND relname LIKE 'procrastinate\\_%%'
    ), lacking AS (
        SELECT place, string_agg(its_right, ', ' ORDER BY its_right DESC) AS rights
          FROM wanted WHERE held IS FALSE GROUP BY place
    ), owned AS (
        SELECT n.nspname || '.' || relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
         WHERE relkind = 'r' AND NOT pg_has_role(relowner, 'USAGE')
           AND (nspname = ANY(%(schemas)s) OR nspname = 'public' AND relname ~ '^(alembic_version$|procrastinate_)')
    )
    SELECT ARRAY(SELECT concat(rights, ' on ', min(place), ' and ' || nullif(count(*) - 1, 0) || ' more')
                   FROM lacking GROUP BY split_part(place, '.', 1), rights
                  ORDER BY starts_with(min(place), 'the ') DESC, min(place)) AS to_serve,
           ARRAY(SELECT 'CREATE on the database' WHERE NOT has_database_privilege(current_database(), 'CREATE')
                  UNION ALL
                 SELECT 'CREATE on the schema public' WHERE NOT has_schema_privilege('public', 'CREATE')
                  UNION ALL
                 SELECT concat('to own ', min(name), ' and ' || nullif(count(*) - 1, 0) || ' more')
                   FROM owned HAVING count(*) > 0) AS to_migrate
"""

_CONNECTIONS = """
    WITH bounds (bound, most, used) AS (
        SELECT 'max_connections',
               current_setting('max_connections')::int
               - CASE WHEN current_setting('is_superuser') = 'on' THEN 0
                      ELSE current_setting('superuser_reserved_connections')::int
                           + current_setting('reserved_connections')::int END,
               (SELECT sum(numbackends)::int FROM pg_stat_database)
        UNION ALL
        SELECT 'the role''s CONNECTION LIMIT', rolconnlimit,
               (SELECT count(*)::int FROM pg_stat_activity WHERE usesysid = pg_roles.oid)
          FROM pg_roles WHERE rolname = session_user AND rolconnlimit >= 0
        UNION ALL
        SELECT 'the database''s CONNECTION LIMIT', datconnlimit,
               (SELECT numbackends FROM pg_stat_database d WHERE d.datid = pg_database.oid)
          FROM pg_database WHERE datname = current_database() AND datconnlimit >= 0
    )
    SELECT bound, most, used,
           (SELECT count(*)::int FROM pg_stat_activity
             WHERE datname = current_database() AND usename = session_user AND application_name LIKE 'backroom%'
           ) AS ours
      FROM bounds ORDER BY most - used LIMIT 1
"""
