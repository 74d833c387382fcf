"""What is set for commands that call a server."""

from pathlib import Path

from server.frame.settings import DeclaredSettings, setting


class CallingSettings(DeclaredSettings):
    """Commands that call a server, as `demo`, `replay`, `bench` and `doctor` do."""

    tls_ca: Path | None = setting(
        "BACKROOM_TLS_CA", None, "who issued the server's certificate, for commands that call the server"
    )
    tls_server_name: str | None = setting(
        "BACKROOM_TLS_SERVER_NAME",
        None,
        "the name in the server's certificate, for commands that call it by another one",
    )
    tls_caller_certificate: Path | None = setting(
        "BACKROOM_TLS_CALLER_CERTIFICATE", None, "the certificate that commands show to a server that asks for one"
    )
    tls_caller_key: Path | None = setting(
        "BACKROOM_TLS_CALLER_KEY", None, "the key of the certificate that commands show"
    )
    api_key: str | None = setting(
        "BACKROOM_API_KEY",
        None,
        "the service account's key that `demo`, `replay` and `bench` sign in with",
        unset="an account is made for them, by the admin in `admin.json`",
        secret=True,
    )
