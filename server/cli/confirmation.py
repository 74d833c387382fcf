"""Who is asked before a command writes into what may not be its own."""

import ipaddress
import sys
from collections.abc import Iterator

import typer

from server.process.failure import Failure
from server.settings import Address, Settings
from storage.embedded import running_url


def ask_before_writing(what: str, reasons: list[str], *, yes: bool) -> None:
    """Asks at a terminal, and raises Failure where nobody agrees; without a reason, or with `yes`, nobody is asked."""
    if yes or not reasons:
        return
    if not sys.stdin.isatty():
        raise Failure(f"{what}, and {reasons[0]}: say --yes")
    typer.echo("\n".join([f"{what}.", *(f"- {reason}" for reason in reasons)]))
    if not typer.confirm("Go on?"):
        raise Failure("nothing was written")


def reasons_to_ask(configured: Settings, target: Address, *, answers: bool) -> list[str]:
    """Why a server, which answers or is still to be started, may not be a first run's own, for a person to read."""
    return list(_reasons(configured, target, answers=answers))


def _reasons(configured: Settings, target: Address, *, answers: bool) -> Iterator[str]:
    if configured.environment == "production":
        yield "BACKROOM_ENVIRONMENT is production"
    if answers and not _is_local(target):
        yield f"{target} is not on this machine"
    if configured.database_url:
        yield "DATABASE_URL is set: the database is not the embedded one"
    elif answers and running_url(configured.data_dir.absolute() / "postgres") is None:
        yield f"the server on {target} does not stand on the embedded database of {configured.data_dir}"
    if answers and configured.api_key:
        yield "BACKROOM_API_KEY is set: the server is somebody's who gave out a key"


def _is_local(address: Address) -> bool:
    """Whether it leads to this machine; a server's own address may be 0.0.0.0, which does."""
    if address.host == "localhost":
        return True
    try:
        ip = ipaddress.ip_address(address.host)
    except ValueError:
        return False
    return ip.is_loopback or ip.is_unspecified
