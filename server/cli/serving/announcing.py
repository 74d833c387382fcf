"""What a person reads on the screen once calls are answered."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from server.cli.process_age import process_age
from server.settings import Settings

_LOGIN = "backroom.identity.v1.IdentityService/Login"
_ME = "backroom.identity.v1.IdentityService/GetMe"
_PRODUCTS = "backroom.commerce.v1.CatalogService/ListProducts"
_BEARER = '-H "authorization: Bearer $TOKEN"'
# buf writes accessToken; grpcurl before 1.8.7 writes access_token.
_PICK = r"""sed -n 's/.*"access_\{0,1\}[Tt]oken": *"\([^"]*\)".*/\1/p'"""


def announce(configured: Settings, ports: tuple[int, int], *, made_admin: bool, by: str = "") -> None:
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


@dataclass(frozen=True, slots=True)
class _Tool:
    """How one tool makes a call."""

    name: str
    command: str
    """With its options."""
    target: str
    """The address, and what stands between it and a method's path."""

    def call(self, method: str, options: str = "") -> str:
        return f"{self.command} {options} {self.target}{method}" if options else f"{self.command} {self.target}{method}"


def _first_calls(configured: Settings, port: int, *, made_admin: bool) -> str:
    buf, grpcurl = _buf(configured, port), _grpcurl(configured, port)
    admin = configured.data_dir / "admin.json"
    lines = [""]
    if not (configured.embedded and admin.exists()):
        lines += ["To make an admin: backroom admin create-user you@example.com --role admin --password-stdin"]
        lines += ["Put the address and the password into a file that nobody else may read, such as admin.json:"]
        lines += ['{"email": "you@example.com", "password": "..."}', ""]
        admin = Path("admin.json")
    elif made_admin:
        lines += [f"An admin was made, admin@localhost; the password is kept in {admin}.", ""]
    if not configured.reflects:
        lines += ["Without BACKROOM_REFLECTION a tool needs the contract: --schema proto for buf, in the checkout.", ""]
    file = shlex.quote(str(admin))
    lines += ["Calls to paste:", ""]
    lines += [f"  TOKEN=$({buf.call(_LOGIN, f'-d @{file}')} | {_PICK})", *_further(configured, buf, "pageSize")]
    lines += ["", "The same with grpcurl:", ""]
    login = f"{grpcurl.call(_LOGIN, '-d @')} < {file}"
    lines += [f"  TOKEN=$({login} | {_PICK})", *_further(configured, grpcurl, "page_size")]
    if configured.embedded:
        lines += ["", "`make demo` in another terminal replays one real day of a real shop."]
    return "\n".join([*lines, ""])


def _further(configured: Settings, tool: _Tool, page_size: str) -> list[str]:
    calls = [f"  {tool.call(_ME, _BEARER)}"]
    if "commerce" in configured.modules:
        body = f"""-d '{{"{page_size}": 5}}'"""
        calls.append(f"  {tool.call(_PRODUCTS, f'{_BEARER} {body}')}")
    return calls


def _buf(configured: Settings, port: int) -> _Tool:
    encrypted = configured.tls_certificate is not None
    flags = _tls_flags(configured, "--", "servername") if encrypted else "--http2-prior-knowledge"
    scheme = "https" if encrypted else "http"
    command = " ".join(filter(None, [_installed("buf"), "curl --protocol grpc", flags]))
    return _Tool("buf", command, f"{scheme}://{_reached(configured.grpc_address.host, port)}/")


def _grpcurl(configured: Settings, port: int) -> _Tool:
    flags = _tls_flags(configured, "-", "servername") if configured.tls_certificate is not None else "-plaintext"
    return _Tool("grpcurl", f"grpcurl {flags}".strip(), f"{_reached(configured.grpc_address.host, port)} ")


def _tls_flags(configured: Settings, dash: str, server_name: str) -> str:
    """By whom the server's certificate is known, and the caller's own where the server asks for one."""
    given: list[tuple[str, object]] = [("cacert", configured.tls_ca or configured.tls_certificate)]
    if configured.tls_server_name:
        given.append((server_name, configured.tls_server_name))
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
