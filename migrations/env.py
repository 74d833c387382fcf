"""Run by Alembic: applies the revisions to the database whose URL `migrations.upgrade` was given."""

from alembic import context
from sqlalchemy import create_engine, pool, text

from storage.url import driver_url

_LOCK = 0x6261636B726F6F6D
"""Held while migrating, so that two servers that start together do not both do it."""


def run() -> None:
    engine = create_engine(driver_url(context.config.attributes["url"]), poolclass=pool.NullPool)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        context.configure(connection=connection)
        context.run_migrations()


run()
