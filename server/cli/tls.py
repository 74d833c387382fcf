"""How a command calls a server: in plain text, or by TLS as the settings say."""

from pathlib import Path

from backroom_client.channel import Tls
from server.process.failure import Failure
from server.settings import Settings


def tls_of(configured: Settings) -> Tls | None:
    """How a command calls the server of these settings; None means in plain text."""
    if not (configured.tls_ca or configured.tls_certificate):
        return None
    certificate, key = configured.tls_caller_certificate, configured.tls_caller_key
    return Tls(
        ca=_read("BACKROOM_TLS_CA", configured.tls_ca),
        certificate=_read("BACKROOM_TLS_CALLER_CERTIFICATE", certificate),
        key=_read("BACKROOM_TLS_CALLER_KEY", key),
        server_name=configured.tls_server_name,
    )


def _read(setting: str, path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise Failure(f"{setting}: {path}: {error.strerror}") from None
