from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from storage.url import sibling


@pytest.fixture
def empty_url(postgres: str) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"empty_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
        yield sibling(postgres, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
