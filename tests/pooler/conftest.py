from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from storage.pooler import Pooler
from storage.url import sibling
from tests.fixtures.pgbouncer import NOT_INSTALLED, POOLER, PROGRAM


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without PgBouncer these are skipped, unless they were requested."""
    if PROGRAM is None and POOLER is Pooler.NONE:
        for item in items:
            if "tests/pooler/" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason=NOT_INSTALLED))


@pytest.fixture
def direct_url(postgres: str) -> Iterator[str]:
    """The URL, bypassing any pooler, of a migrated database in which the limits were never set."""
    name = f"pooled_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template STRATEGY FILE_COPY")
        yield sibling(postgres, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
