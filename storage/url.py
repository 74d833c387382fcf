"""The database's URL, as people and tools write it."""

from urllib.parse import urlsplit, urlunsplit

_SCHEMES = {"postgres", "postgresql", "postgresql+psycopg"}


def driver_url(url: str) -> str:
    """The URL for this driver; raises ValueError where it is not one of PostgreSQL."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ValueError("a database's URL starts with postgresql://")
    try:
        _ = urlsplit(url).port
    except ValueError:
        # The original error quotes the URL, which may hold a password.
        raise ValueError("the host or the port in the database's URL is malformed") from None
    return f"postgresql+psycopg://{rest}"


def sibling(url: str, database: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
