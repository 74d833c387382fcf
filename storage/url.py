"""The database's URL, in libpq's own form, and what of it every connection of ours can use."""

import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address

_SCHEMES = {"postgres", "postgresql", "postgresql+psycopg"}
_SECRETS = ("password", "sslpassword")
_WRITES = ("any", "read-write", "primary")
"""The values of target_session_attrs with which the primary is found."""
_NUMBERS: Mapping[str, int] = {
    "connect_timeout": 1,
    "keepalives": 0,
    "keepalives_idle": 0,
    "keepalives_interval": 0,
    "keepalives_count": 0,
    "tcp_user_timeout": 0,
}
"""The parameters that are whole numbers, and the least of each."""
_NOWHERE = "/dev/null"
"""A folder in which no socket can be: libpq reads all parameters, and then finds that nothing listens there."""
_READ_ONLY = re.compile(r"default_transaction_read_only\s*=\s*'?(on|true|yes|1)", re.IGNORECASE)


def parameters(url: str) -> Mapping[str, str]:
    """The parameters of a connection, by libpq's names and its own reading of the URL.

    Several hosts are in "host" with commas between, and their ports in "port" likewise.
    Raises ValueError where that is no URL of PostgreSQL, or where some connection of ours could not use it; its text
    contains nothing of the URL, which may contain a password.
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
    hosts = found.get("host", "").split(",")
    misread = "@" in name or any("@" in host and not host.startswith("/") for host in hosts)
    if misread or not all(not port or _is_port(port) for port in ports):
        raise ValueError(
            "the host or the port in the database's URL is malformed; in a user, a password or a name,"
            " @ is written as %40, : as %3A, / as %2F and % as %25"
        )
    for reason in _reasons_against(found):
        raise ValueError(reason)
    return found


def _malformed(text: str) -> str:
    """Which kind of mistake libpq found, without what it quotes."""
    if "percent-encoded" in text:
        return "a % in the database's URL begins no character; a % itself is written as %25"
    if "URI query parameter" in text:
        return "a parameter behind the ? in the database's URL is none of libpq's, or malformed"
    return "the database's URL is malformed"


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536


def _reasons_against(found: Mapping[str, str]) -> Iterator[str]:
    """Why some connection of ours could not be opened by these parameters, though others could, each with the fix."""
    # Its file is read late, so that nobody could say whether the connection is in plain text.
    if found.get("service") or found.get("servicefile"):
        yield "service is not supported in the database's URL; write the host, the port and the database's name into it"
    yield from _wrong_places(found)
    for name, least in _NUMBERS.items():
        if name in found and not (found[name].isascii() and found[name].isdigit() and int(found[name]) >= least):
            yield f"{name} in the database's URL must be a whole number, at least {least}"
    if found.get("target_session_attrs", "any") not in _WRITES:
        yield "target_session_attrs in the database's URL must be read-write, primary or any: Backroom writes"
    if found.get("replication", "false").lower() not in ("false", "off", "no", "0"):
        yield "replication in the database's URL opens no session that answers queries; leave it out"
    if found.get("client_encoding", "UTF8").lower().replace("-", "") not in ("utf8", "unicode"):
        yield "client_encoding in the database's URL must be UTF8, or be left out"
    if _READ_ONLY.search(found.get("options", "")):
        yield "default_transaction_read_only in the database's URL keeps Backroom from writing; remove it from options"
    yield from _refused_by_libpq(found)


def _wrong_places(found: Mapping[str, str]) -> Iterator[str]:
    hosts, addresses, ports = (found.get(name, "").split(",") for name in ("host", "hostaddr", "port"))
    named = addresses if found.get("hostaddr") else hosts
    if len(named) > 1 and "" in named:
        yield "a host in the list of the database's URL is empty; remove the comma, or name the host"
    if found.get("host") and found.get("hostaddr") and len(hosts) != len(addresses):
        yield "host and hostaddr in the database's URL name different numbers of hosts"
    if len(ports) not in (1, len(named)):
        yield "the database's URL names one port for each host, or one for all: host1:5432,host2:5432"
    if found.get("hostaddr") and not all(map(_is_address, addresses)):
        yield "hostaddr in the database's URL must be IP addresses; names are in host"


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _refused_by_libpq(found: Mapping[str, str]) -> Iterator[str]:
    """What libpq would say of the other parameters at each attempt to connect, before it asks any host."""
    from psycopg.conninfo import make_conninfo  # late: as above
    from psycopg.pq import PGconn

    others = {name: value for name, value in found.items() if name not in ("host", "hostaddr", "port", *_SECRETS)}
    connection = PGconn.connect_start(make_conninfo("", host=_NOWHERE, **others).encode())
    text = connection.get_error_message()
    connection.finish()
    if _NOWHERE not in text:
        named = " and ".join(name for name in others if re.search(rf"\b{name}\b", text))
        where = f"{named} in the database's URL" if named else "one of the environment's PG... variables"
        yield f"libpq does not take the value of {where}; correct it"


def redacted(url: str) -> str:
    """The URL without passwords, for a person to read."""
    found = parameters(url)
    user = f"{found['user']}@" if found.get("user") else ""
    where = places(found)
    in_query = [host for host, _ in where if host.startswith("/")]
    if not in_query:
        hosts = ",".join(_written(host, port) for host, port in where)
        return f"postgresql://{user}{hosts}/{found.get('dbname', '')}"
    port = found.get("port", "")
    query = f"?host={found['host']}" + (f"&port={port}" if port else "")
    return f"postgresql://{user}/{found.get('dbname', '')}{query}"


def places(found: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """The hosts that parameters name, each with its port; empty where that is left to libpq."""
    hosts = (found.get("host") or found.get("hostaddr") or "").split(",")
    ports = found.get("port", "").split(",")
    return [(host, ports[at] if len(ports) > 1 else ports[0]) for at, host in enumerate(hosts)]


def _written(host: str, port: str) -> str:
    return (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")


def secrets(url: str) -> frozenset[str]:
    """What must not be shown of a URL: its passwords, as they are written there and as they are meant."""
    found = parameters(url)
    meant = {found[name] for name in _SECRETS if found.get(name)}
    user, _, written = url.partition("://")[2].split("/")[0].rpartition("@")[0].partition(":")
    return frozenset(meant | ({written} if user and written else set()))


def sibling(url: str, database: str) -> str:
    """The URL of another database of the same server."""
    scheme, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    kept = "&".join(each for each in query.split("&") if not each.startswith("dbname="))
    return f"{scheme}://{place.partition('/')[0]}/{database}" + (f"?{kept}" if kept else "")
