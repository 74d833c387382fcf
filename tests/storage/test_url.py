"""How a database's URL is written."""

from urllib.parse import quote

import pytest

from storage.url import parameters, secrets, shown, sibling


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_way_to_write_a_postgresql_url_is_taken(scheme: str) -> None:
    """And read as libpq reads it."""
    assert parameters(f"{scheme}://ada:p%40ss#@db.example.com:5433/shop?sslmode=require") == {
        "user": "ada",
        "password": "p@ss#",
        "host": "db.example.com",
        "port": "5433",
        "dbname": "shop",
        "sslmode": "require",
    }


@pytest.mark.parametrize(
    "url", ["", "shop", "postgresql", "postgresql:/x", "mysql://x", "POSTGRESQL+asyncpg://x", "://x"]
)
def test_what_is_no_postgresql_url_is_refused(url: str) -> None:
    """With a text that says how one begins, and never what was in it."""
    with pytest.raises(ValueError, match=r"^a database's URL starts with postgresql://$"):
        parameters(url)


@pytest.mark.parametrize("password", ["can%ary", "can@ary", "can/ary", "can%zzary", "1/canary:2", "1/can?ary"])
def test_a_password_that_was_not_encoded_is_told_without_it(password: str) -> None:
    """Wherever the URL breaks at it; each of them stands in a URL as percent-encoding has it."""
    with pytest.raises(ValueError, match=r"URL") as raised:
        parameters(f"postgresql://ada:{password}@db:5432/shop")
    said = str(raised.value)
    assert not [part for part in ("can", "ary", "3c", "zz") if part in said.replace("cannot", "").replace("libpq", "")]
    assert parameters(f"postgresql://ada:{quote(password, safe='')}@db:5432/shop")["password"] == password


def test_a_url_is_shown_without_its_passwords() -> None:
    """With all that tells one database from another."""
    assert (
        shown("postgres://ada:hunter2@db:5433/shop?sslmode=require&sslpassword=hunter3")
        == "postgresql://ada@db:5433/shop"
    )
    assert shown("postgresql://ada:hunter2@[::1]/shop") == "postgresql://ada@[::1]/shop"
    assert shown("postgresql:///shop?host=/run/x&password=hunter2") == "postgresql:///shop?host=/run/x"


def test_a_url_s_secrets_are_known_in_both_ways_of_writing() -> None:
    """So that neither is said."""
    assert secrets("postgresql://ada:p%40ss@db/x?sslpassword=k%20y") == {"p@ss", "p%40ss", "k y"}
    assert secrets("postgresql://ada@db/x") == set()


def test_another_database_of_the_same_server() -> None:
    """Only the database's name changes, with a socket's folder as with a host."""
    assert sibling("postgresql://a:b@host:1/one?x=y", "two") == "postgresql://a:b@host:1/two?x=y"
    assert sibling("postgresql://postgres:@/one?host=/tmp/x", "two") == "postgresql://postgres:@/two?host=/tmp/x"
