"""The database's URL, as people and tools write it."""

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

_SCHEMES = {"postgres", "postgresql", "postgresql+psycopg"}
_SECRETS = ("password", "sslpassword")


def parameters(url: str) -> Mapping[str, str]:
    """The parameters of a connection, by libpq's names and its own reading of the URL.

    Raises ValueError where that is not one of PostgreSQL; its text holds nothing of the URL, which may hold a password.
    """
    from psycopg import ProgrammingError  # late: the settings are read by processes that have no use for it
    from psycopg.conninfo import conninfo_to_dict

    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ValueError("a database's URL starts with postgresql://")
    try:
        found = {name: str(value) for name, value in conninfo_to_dict(f"postgresql://{rest}").items()}
    except ProgrammingError as error:
        raise ValueError(_malformed(str(error))) from None
    ports = found.get("port", "").split(",")
    name = rest.partition("?")[0].partition("/")[2]
    host = found.get("host", "")
    misread = "@" in name or ("@" in host and not host.startswith("/"))
    if misread or not all(not port or _is_port(port) for port in ports):
        raise ValueError(
            "the host or the port in the database's URL is malformed; in a user, a password or a name,"
            " @ is written as %40, : as %3A, / as %2F and % as %25"
        )
    return found


def _malformed(said: str) -> str:
    """Which kind of mistake libpq found, without what it quotes."""
    if "percent-encoded" in said:
        return "a % in the database's URL begins no character; a % itself is written as %25"
    if "URI query parameter" in said:
        return "a parameter behind the ? in the database's URL is none of libpq's, or malformed"
    return "the database's URL is malformed"


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536


def shown(url: str) -> str:
    """The URL without passwords, for a person to read."""
    found = parameters(url)
    host, port, user = found.get("host", ""), found.get("port", ""), found.get("user", "")
    place = f"{user}@" if user else ""
    place += "" if host.startswith("/") else f"[{host}]" if ":" in host else host
    place += f":{port}" if port and not host.startswith("/") else ""
    socket = f"?host={host}" + (f"&port={port}" if port else "") if host.startswith("/") else ""
    return f"postgresql://{place}/{found.get('dbname', '')}{socket}"


def secrets(url: str) -> frozenset[str]:
    """What must not be said of a URL: its passwords, as they are written there and as they are meant."""
    found = parameters(url)
    meant = {found[name] for name in _SECRETS if found.get(name)}
    user, _, written = url.partition("://")[2].split("/")[0].rpartition("@")[0].partition(":")
    return frozenset(meant | ({written} if user and written else set()))


def sibling(url: str, database: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
