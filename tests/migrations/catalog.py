"""Everything in a database except the data, independent of the server's version.

Run as a program, it prints that of a migrated database as JSON, on a server of the given version.
"""

import json
import re
import sys

import psycopg

import migrations
from migrations.compare import _CATALOG
from storage.embedded import temporary_postgres

_MORE = """
SELECT oid::regprocedure::text, 'function ' || pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = ANY(%(spaces)s)
UNION ALL
SELECT tgrelid::regclass::text, 'trigger ' || pg_get_triggerdef(t.oid)
  FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal AND c.relnamespace = ANY(%(spaces)s)
UNION ALL
SELECT enumtypid::regtype::text, 'labels ' || string_agg(enumlabel, ',' ORDER BY enumsortorder)
  FROM pg_enum GROUP BY enumtypid
UNION ALL
SELECT c.oid::regclass::text, 'relation of kind ' || c.relkind::text
  FROM pg_class c WHERE c.relnamespace = ANY(%(spaces)s)
UNION ALL
SELECT typname, 'type of kind ' || typtype::text FROM pg_type WHERE typnamespace = ANY(%(spaces)s)
"""


def catalog(url: str) -> set[tuple[str, str]]:
    """Columns, constraints, indexes, functions, triggers, types and their labels, as (place, definition)."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT oid::int, nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_)'")
        spaces = {int(oid): str(name) for oid, name in found}
        rows = connection.execute(_CATALOG.replace(":schemas", "%(schemas)s"), {"schemas": list(spaces.values())})
        more = connection.execute(_MORE, {"spaces": list(spaces)})
        pairs = [(str(place), " ".join(str(what).split())) for place, what in [*rows.fetchall(), *more.fetchall()]]
    # PostgreSQL 18 stores NOT NULL as a constraint too; the column has it on every version.
    return {(place, what) for place, what in pairs if not re.fullmatch(r"constraint \S+ NOT NULL \S+", what)}


if __name__ == "__main__":
    with temporary_postgres(version=int(sys.argv[1])) as migrated:
        migrations.upgrade(migrated)
        json.dump(sorted(catalog(migrated)), sys.stdout)
