"""For every setting: a value, what is read of it, and values that are refused.

A module's are in `ROWS` of `tests/<module>/settings_rows.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from server.frame.settings import declared
from server.modules import MODULES, settings_class


@dataclass(frozen=True)
class Row:
    """A well-formed value that differs from the default, what is shown of it once read, and malformed values."""

    well_formed: str
    read: str | None = None
    malformed: Sequence[str] = ()

    @property
    def shown(self) -> str:
        return self.well_formed if self.read is None else self.read


FRAME_ROWS = {
    "DATABASE_URL": Row(
        "postgres://u@h/db",
        malformed=("mysql://u:hunter2@h/db", "nonsense", "postgresql:/h/db", "postgresql://u:hunter2@h:port/db"),
    ),
    "BACKROOM_DATABASE_POOLER": Row("Transaction", read="transaction", malformed=("pgbouncer", "statement")),
    "BACKROOM_DIRECT_DATABASE_URL": Row(
        "postgres://u@direct/db", malformed=("mysql://u:hunter2@h/db", "postgresql://u:hunter2%@h/db")
    ),
    "BACKROOM_DATABASE_CONNECT_SECONDS": Row("1.5", malformed=("0", "61", "soon")),
    "BACKROOM_DATABASE_ANSWER_SECONDS": Row("8", read="8.0", malformed=("0.5", "61", "nan")),
    "BACKROOM_SERVING_ROLE": Row("backroom"),
    "BACKROOM_ISSUER": Row(
        "https://backroom.example.com",
        malformed=("backroom", "https://", "https://a b", "https://a/?b", "https://a/#b", "ftp://a"),
    ),
    "BACKROOM_MASTER_KEY": Row(
        "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=", read="(b'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',)"
    ),
    "BACKROOM_DATA_DIR": Row("/somewhere"),
    "BACKROOM_GRPC_ADDRESS": Row(
        "[::1]:1", malformed=("50051", ":50051", "localhost:", "localhost:65536", "localhost:-1", "localhost:http")
    ),
    "BACKROOM_HTTP_ADDRESS": Row("0.0.0.0:65535", malformed=("8080", "[::1]")),
    "BACKROOM_METRICS_ADDRESS": Row("127.0.0.1:9090", malformed=("9090",)),
    "BACKROOM_METRICS_TOKEN": Row("scrape-scrape-scrape", malformed=("hunter2", "hunter2 hunter2 hunter2")),
    "BACKROOM_ENVIRONMENT": Row("Production", read="production", malformed=("prod",)),
    "BACKROOM_ALLOW_PLAINTEXT": Row("http, grpc", read="('http', 'grpc')", malformed=("https", "grpc;http", ",")),
    "BACKROOM_TLS_CERTIFICATE": Row("/tls/chain.pem"),
    "BACKROOM_TLS_KEY": Row("/tls/key.pem"),
    "BACKROOM_TLS_CLIENT_CA": Row("/tls/clients.pem"),
    "BACKROOM_HTTP_TLS": Row("true", read="True", malformed=("perhaps",)),
    "BACKROOM_TLS_CA": Row("/tls/ca.pem"),
    "BACKROOM_TLS_SERVER_NAME": Row("backroom.internal"),
    "BACKROOM_TLS_CALLER_CERTIFICATE": Row("/tls/caller.pem"),
    "BACKROOM_TLS_CALLER_KEY": Row("/tls/caller-key.pem"),
    "BACKROOM_REFLECTION": Row("yes", read="True", malformed=("perhaps",)),
    "BACKROOM_MAX_CALLS": Row("300", malformed=("0", "100001", "many")),
    "BACKROOM_MAX_STREAMS": Row("200", malformed=("0", "100001", "many")),
    "BACKROOM_CALLS_PER_SECOND": Row("12.5", malformed=("-1", "nan", "inf")),
    "BACKROOM_CALLS_BURST": Row("40", malformed=("0", "1.5")),
    "BACKROOM_MODULES": Row(
        "commerce , identity",
        read="('commerce', 'identity')",
        malformed=("films", "commerce;identity", ",", "Commerce"),
    ),
    "BACKROOM_TRUSTED_PROXIES": Row(
        "10.0.0.0/8 , fd00::/8",
        read="(IPv4Network('10.0.0.0/8'), IPv6Network('fd00::/8'))",
        malformed=("localhost", "10.0.0.0/33"),
    ),
    "BACKROOM_DRAIN_SECONDS": Row("2.5", malformed=("-1", "301", "soon", "nan", "inf")),
    "BACKROOM_API_KEY": Row("brk_x"),
    "LOG_LEVEL": Row("debug", read="DEBUG", malformed=("LOUD",)),
    "LOG_FORMAT": Row("JSON", read="json", malformed=("xml",)),
}


def rows() -> Mapping[str, Row]:
    """Every setting's, by its name."""
    found = dict(FRAME_ROWS)
    for module in MODULES:
        if declared(settings_class(module)):
            found |= import_module(f"tests.{module}.settings_rows").ROWS
    return found
