"""The queue's schema is procrastinate's own, on every version of PostgreSQL, although one transaction creates it."""

import json
import subprocess
import sys
from importlib import import_module
from importlib.resources import files

import psycopg
import pytest

import migrations
from tests.migrations.catalog import catalog

revision = import_module("migrations.versions.0004_events_and_jobs")


def queue_of(url: str) -> set[tuple[str, str]]:
    return {(place, what) for place, what in catalog(url) if "procrastinate" in place}


def test_the_steps_in_one_transaction_give_the_same_as_one_by_one(empty_url: str, database_url: str) -> None:
    """Tables, columns, labels, functions, indexes and triggers."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        for step in revision._steps():
            connection.execute(step)
    assert queue_of(database_url) == queue_of(empty_url)
    kinds = {what.split()[0] for _, what in queue_of(database_url)}
    assert kinds >= {"column", "constraint", "function", "index", "labels", "relation", "trigger", "type"}


def test_the_steps_give_the_librarys_schema(empty_url: str, database_url: str) -> None:
    """A library with further steps needs a revision that applies them."""
    steps = files("procrastinate") / "sql" / "migrations"
    assert max(step.name for step in steps.iterdir() if step.name.endswith(".sql")) == revision.NEWEST_STEP
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute((files("procrastinate") / "sql" / "schema.sql").read_text())
    assert queue_of(database_url) == queue_of(empty_url)


@pytest.mark.slow
def test_every_version_of_postgresql_gives_the_same(database_url: str) -> None:
    """The oldest that is supported, and the newest that is embedded; the tests run on one of the two."""
    with psycopg.connect(database_url) as connection:
        here = connection.info.server_version // 10_000
    other = {16: "18", 18: "16"}[here]
    finished = subprocess.run(
        [sys.executable, "-m", "tests.migrations.catalog", other],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert {(place, what) for place, what in json.loads(finished.stdout)} == catalog(database_url)


def test_the_downgrade_leaves_nothing_of_the_queue(empty_url: str) -> None:
    """Types and functions too."""
    migrations.upgrade(empty_url)
    migrations.downgrade(empty_url, "base")
    assert {place for place, _ in catalog(empty_url)} <= {
        "alembic_version",
        "alembic_version_pkc",
        "public.alembic_version",
        "_alembic_version",
    }
