"""What a person reads on the screen once calls are answered."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from server.process.program import process_age
from server.settings import Settings

_LOGIN = "identity.v1.IdentityService/Login"
_ME = "identity.v1.IdentityService/GetMe"
_PRODUCTS = "commerce.v1.CatalogService/ListProducts"
_BEARER = '-H "authorization: Bearer $TOKEN"'
# buf writes accessToken; grpcurl before 1.8.7 writes access_token.
_PICK = r"""sed -n 's/.*"access_*[Tt]oken": *"\([^"]*\)".*/\1/p'"""
_TYPED = """'{"email": "you@example.com", "password": "..."}'"""


def print_welcome(configured: Settings, ports: tuple[int, int], *, made_admin: bool, by: str = "") -> None:
    """Tells where calls are answered and, but for production, how to make the first ones.

    `ports` are gRPC's and HTTP's, `made_admin` whether this start made the first admin, and `by` says who serves,
    where that is not one process.
    """
    console = Console(stderr=False, highlight=False, soft_wrap=True)
    grpc_port, http_port = ports
    age = process_age()
    after = f", after {age:.1f} s" if age is not None else ""
    console.print(
        f"[bold green]Backroom serves[/] gRPC on [bold]{_at(configured.grpc_address.host, grpc_port)}[/] and HTTP on"
        f" [bold]{_at(configured.http_address.host, http_port)}[/]{by}{after}. Ctrl-C stops it."
    )
    if configured.environment != "production" and "identity" in configured.modules:
        console.print(_first_calls(configured, grpc_port, made_admin=made_admin), markup=False)


def _first_calls(configured: Settings, port: int, *, made_admin: bool) -> str:
    kept = configured.data_dir / "admin.json"
    file = shlex.quote(str(kept)) if configured.embedded and kept.exists() else None
    lines = [""]
    if file is None:
        lines += [f"To make an admin: {_installed('backroom')} admin create-user you@example.com --role admin", ""]
    elif made_admin:
        lines += [f"An admin was made, admin@localhost; the password is kept in {kept}.", ""]
    lines += ["Calls to paste:", "", *_by_buf(configured, port, file)]
    lines += ["", "The same with grpcurl:", "", *_by_grpcurl(configured, port, file)]
    if not configured.reflects:
        lines += ["", "Reflection is off: give buf --schema, or grpcurl -protoset, with the contract."]
    if configured.embedded:
        lines += ["", "`make demo` in another terminal replays one real day of a real shop."]
    return "\n".join([*lines, ""])


def _by_buf(configured: Settings, port: int, file: str | None) -> Iterator[str]:
    encrypted = configured.tls_certificate is not None
    flags = _tls_flags(configured, "--") if encrypted else "--http2-prior-knowledge"
    url = f"{'https' if encrypted else 'http'}://{_reached(configured.grpc_address.host, port)}"
    curl = f"{_installed('buf')} curl --protocol grpc {flags}"
    yield f'  call() {{ method=$1; shift; {curl} "$@" {url}/backroom.$method; }}'
    given = f"@{file}" if file else _TYPED
    yield f"  TOKEN=$(call {_LOGIN} -d {given} | {_PICK})"
    yield f"  call {_ME} {_BEARER}"
    if "commerce" in configured.modules:
        yield f"  call {_PRODUCTS} {_BEARER} -d '{{\"pageSize\": 5}}'"


def _by_grpcurl(configured: Settings, port: int, file: str | None) -> Iterator[str]:
    address = _reached(configured.grpc_address.host, port)
    flags = _tls_flags(configured, "-") if configured.tls_certificate is not None else "-plaintext"
    given, source = ("@", f" < {file}") if file else (_TYPED, "")
    yield f"  TOKEN=$(grpcurl {flags} -d {given} {address} backroom.{_LOGIN}{source} | {_PICK})"
    yield f"  grpcurl {flags} {_BEARER} {address} backroom.{_ME}"
    if "commerce" in configured.modules:
        yield f"  grpcurl {flags} {_BEARER} -d '{{\"page_size\": 5}}' {address} backroom.{_PRODUCTS}"


def _tls_flags(configured: Settings, dash: str) -> str:
    """By whom the server's certificate is known, and the caller's own where the server asks for one."""
    given: list[tuple[str, object]] = [("cacert", configured.tls_ca or configured.tls_certificate)]
    if configured.tls_server_name:
        given.append(("servername", configured.tls_server_name))
    if configured.tls_client_ca:
        given.append(("cert", configured.tls_caller_certificate or "YOUR-CERTIFICATE.pem"))
        given.append(("key", configured.tls_caller_key or "YOUR-KEY.pem"))
    return " ".join(f"{dash}{name} {shlex.quote(str(value))}" for name, value in given)


def _installed(name: str) -> str:
    """How to type a tool that was installed beside this Python; by its bare name where it was not."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        return name
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _reached(host: str, port: int) -> str:
    """Where a caller on this machine reaches a server that listens there."""
    return _at({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)  # noqa: S104 - it is looked up, not bound


def _at(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
