"""Run by Alembic: applies the revisions to the database whose URL `migrations.upgrade` was given."""

from functools import partial

from alembic import context
from sqlalchemy import create_engine, pool, text

from storage.connection import open_unlimited
from storage.limits import LIMITS

_LOCK = 0x6261636B726F6F6D
"""Held while migrating, so that two servers that start together do not both do it."""


def run() -> None:
    connect = partial(open_unlimited, context.config.attributes["url"])
    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=pool.NullPool)
    with engine.begin() as connection:
        # A migration, and waiting for another one, may take long: the role's time limits are for calls.
        for name in LIMITS:
            connection.execute(text(f"SET LOCAL {name} = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        context.configure(connection=connection)
        context.run_migrations()


run()
