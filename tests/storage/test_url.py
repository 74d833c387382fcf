"""How a database's URL is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.url import driver_url, sibling


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_way_to_write_a_postgresql_url_is_taken(scheme: str) -> None:
    """And all the rest of it stays as it is."""
    rest = "ada:p%40ss@db.example.com:5433/shop?sslmode=require"
    assert driver_url(f"{scheme}://{rest}") == f"postgresql+psycopg://{rest}"


@pytest.mark.parametrize(
    "url", ["", "shop", "postgresql", "postgresql:/x", "mysql://x", "POSTGRESQL+asyncpg://x", "://x"]
)
def test_what_is_no_postgresql_url_is_refused(url: str) -> None:
    """With a text that says how one begins, and never what was in it."""
    with pytest.raises(ValueError, match=r"^a database's URL starts with postgresql://$"):
        driver_url(url)


@given(st.text(alphabet="abz019.-_/@?=", max_size=20))
def test_a_url_for_the_driver_is_one_already(rest: str) -> None:
    """Doing it twice changes nothing."""
    assert driver_url(driver_url(f"postgres://{rest}")) == driver_url(f"postgres://{rest}")


def test_another_database_of_the_same_server() -> None:
    """Only the database's name changes, with a socket's folder as with a host."""
    assert sibling("postgresql://a:b@host:1/one?x=y", "two") == "postgresql://a:b@host:1/two?x=y"
    assert sibling("postgresql://postgres:@/one?host=/tmp/x", "two") == "postgresql://postgres:@/two?host=/tmp/x"
