"""The forms of a database's URL."""

from urllib.parse import quote

import pytest

from storage.url import parameters, places, redacted, secrets, sibling


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_form_of_a_postgresql_url_is_accepted(scheme: str) -> None:
    """And parsed as libpq parses it."""
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
def test_an_invalid_postgresql_url_is_refused(url: str) -> None:
    """With a message that says how one begins, and never quotes it."""
    with pytest.raises(ValueError, match=r"^a database's URL starts with postgresql://$"):
        parameters(url)


@pytest.mark.parametrize("password", ["can%ary", "can@ary", "can/ary", "can%zzary", "1/canary:2", "1/can?ary"])
def test_an_unencoded_password_is_reported_without_it(password: str) -> None:
    """Wherever it breaks the URL; percent-encoded, each of them is accepted."""
    with pytest.raises(ValueError, match=r"URL") as raised:
        parameters(f"postgresql://ada:{password}@db:5432/shop")
    said = str(raised.value)
    assert not [part for part in ("can", "ary", "3c", "zz") if part in said.replace("cannot", "").replace("libpq", "")]
    assert parameters(f"postgresql://ada:{quote(password, safe='')}@db:5432/shop")["password"] == password


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("service=shop", "service is not supported"),
        ("host=a,b&port=1,2,3", "one port for each host"),
        ("host=a,", "a host in the list"),
        ("hostaddr=db", "hostaddr"),
        ("host=a,b&hostaddr=127.0.0.1", "host and hostaddr"),
        ("connect_timeout=soon", "connect_timeout"),
        ("connect_timeout=0", "connect_timeout"),
        ("keepalives_idle=-1", "keepalives_idle"),
        ("target_session_attrs=standby", "target_session_attrs"),
        ("target_session_attrs=prefer-standby", "target_session_attrs"),
        ("target_session_attrs=writable", "target_session_attrs"),
        ("replication=database", "replication"),
        ("client_encoding=SQL_ASCII", "client_encoding"),
        ("options=-c%20default_transaction_read_only%3Don", "default_transaction_read_only"),
        ("sslmode=sometimes", "sslmode"),
        ("require_auth=blood", "require_auth"),
        ("sslnegotiation=direct", "sslnegotiation"),
        ("unheard_of=1", "none of libpq's"),
    ],
)
def test_a_parameter_that_a_connection_could_not_use_is_refused_at_the_start(query: str, said: str) -> None:
    """In one line that names the parameter, without its value."""
    with pytest.raises(ValueError, match=said) as raised:
        parameters(f"postgresql://ada:c4nary@/shop?{query}")
    assert "c4nary" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_several_hosts_are_parsed_each_with_its_port() -> None:
    """As libpq parses them, and shown as they are written."""
    url = "postgresql://ada:hunter2@[::1]:5432,db.example.com:5433/shop"
    found = parameters(url)
    assert (found["host"], found["port"]) == ("::1,db.example.com", "5432,5433")
    assert places(found) == [("::1", "5432"), ("db.example.com", "5433")]
    assert redacted(url) == "postgresql://ada@[::1]:5432,db.example.com:5433/shop"
    assert redacted("postgresql://a,b/shop?port=1") == "postgresql://a:1,b:1/shop"


def test_a_url_is_shown_without_its_passwords() -> None:
    """With everything else that identifies the database."""
    assert (
        redacted("postgres://ada:hunter2@db:5433/shop?sslmode=require&sslpassword=hunter3")
        == "postgresql://ada@db:5433/shop"
    )
    assert redacted("postgresql://ada:hunter2@[::1]/shop") == "postgresql://ada@[::1]/shop"
    assert redacted("postgresql:///shop?host=/run/x&password=hunter2") == "postgresql:///shop?host=/run/x"


def test_a_urls_secrets_are_known_in_both_spellings() -> None:
    """So that neither is printed."""
    assert secrets("postgresql://ada:p%40ss@db/x?sslpassword=k%20y") == {"p@ss", "p%40ss", "k y"}
    assert secrets("postgresql://ada@db/x") == set()


def test_another_database_of_the_same_server() -> None:
    """Only the database's name changes, for a socket's folder as for a host."""
    assert sibling("postgresql://a:b@host:1/one?x=y", "two") == "postgresql://a:b@host:1/two?x=y"
    assert sibling("postgresql://postgres:@/one?host=/tmp/x", "two") == "postgresql://postgres:@/two?host=/tmp/x"
    assert sibling("postgresql://?host=/tmp/x&dbname=one", "two") == "postgresql:///two?host=/tmp/x"
