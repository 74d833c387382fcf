"""Proves that the migrations lead to the tables: up, compared, down to nothing, and up again.

Both are built in a database and their catalogs are compared, since Alembic's own comparison ignores check
constraints, collations and storage parameters.
"""

import sys
from functools import partial

from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.schema import CreateIndex, CreateSchema, CreateTable

import migrations
from storage.connection import open_unlimited
from storage.embedded import temporary_postgres
from storage.schema import METADATA, SCHEMAS
from storage.url import sibling

_CATALOG = """
SELECT n.nspname || '.' || c.relname AS place,
       'column ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' not null ' || a.attnotnull
       || ' identity ' || a.attidentity::text || ' default ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '-')
       || ' collation ' || coalesce(l.collname, '-') AS what
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum LEFT JOIN pg_collation l ON l.oid = a.attcollation
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND n.nspname = ANY(:schemas)
UNION ALL
SELECT n.nspname || '.' || c.relname, 'constraint ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY(:schemas)
UNION ALL
SELECT schemaname || '.' || tablename, 'index ' || indexdef FROM pg_indexes WHERE schemaname = ANY(:schemas)
UNION ALL
SELECT n.nspname || '.' || c.relname, 'options ' || coalesce(array_to_string(c.reloptions, ','), '-')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY(:schemas)
"""


Catalog = set[tuple[str, str]]


def main() -> None:
    with temporary_postgres() as url:
        tables = _build_tables(_create(url, "tables"))
        migrated = _create(url, "migrated")
        migrations.upgrade(migrated)
        problems = _differences(tables, _catalog(migrated))
        migrations.downgrade(migrated, "base")
        problems += [f"the downgrade leaves {place}: {what}" for place, what in sorted(_catalog(migrated))]
        migrations.upgrade(migrated)
        problems += _differences(tables, _catalog(migrated))
    if problems:
        sys.exit("\n".join(problems))
    print(f"migrations equal tables, at {migrations.head()}")


def _connected(url: str) -> Connection:
    connect = partial(open_unlimited, url)
    engine = create_engine("postgresql+psycopg://", creator=connect, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    return engine.connect()


def _create(url: str, name: str) -> str:
    """Creates a database and returns its URL."""
    with _connected(url) as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    return sibling(url, name)


def _build_tables(url: str) -> Catalog:
    with _connected(url) as connection:
        for schema in SCHEMAS:
            connection.execute(CreateSchema(schema))
        for table in METADATA.sorted_tables:
            connection.execute(CreateTable(table))
            for index in table.indexes:
                connection.execute(CreateIndex(index))
    return _catalog(url)


def _catalog(url: str) -> Catalog:
    """Every column, constraint, index and storage parameter of our schemas, as (table, definition)."""
    with _connected(url) as connection:
        found = connection.execute(text(_CATALOG), {"schemas": SCHEMAS})
        return {(row.place, row.what) for row in found}


def _differences(tables: Catalog, migrated: Catalog) -> list[str]:
    missing = [f"in the tables alone, {place}: {what}" for place, what in sorted(tables - migrated)]
    return missing + [f"in the migrations alone, {place}: {what}" for place, what in sorted(migrated - tables)]


if __name__ == "__main__":
    main()
