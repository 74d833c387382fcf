"""The command `backroom`; each command imports what it needs when it runs, so that help comes at once."""

import os
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from server.cli.failure import Failure
from server.settings import SettingsError

app = typer.Typer(
    name="backroom",
    help="The back room of a product: identity and commerce behind gRPC, on PostgreSQL.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
admin = typer.Typer(help="Accounts, made on the database itself.", no_args_is_help=True)
app.add_typer(admin, name="admin")

From = Annotated[str | None, typer.Option("--from", metavar="DATE", help="The first day, such as 2011-11-01.")]
To = Annotated[str | None, typer.Option("--to", metavar="DATE", help="The last day.")]
Role = Annotated[list[str] | None, typer.Option("--role", help="A role to grant; may be given more than once.")]


def main() -> None:
    # What its core has to say reaches us as errors; its own lines on the screen would only repeat them.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Its fork handlers can crash a child that is started beside it, before that becomes another program.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    try:
        app()
    except (Failure, SettingsError) as failure:
        print(f"backroom: {failure}", file=sys.stderr)
        sys.exit(2 if isinstance(failure, SettingsError) else 1)


@app.command()
def serve() -> None:
    """Serve the modules; without DATABASE_URL on an embedded PostgreSQL."""
    from server.cli.serve import serve

    serve()


@app.command()
def migrate() -> None:
    """Bring the database up to date."""
    from server.cli.migrate import migrate

    migrate()


@app.command()
def demo() -> None:
    """Replay one real day of a real shop; through the running server, or through one of its own."""
    from server.cli.shop import demo

    demo()


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="Orders of the UCI Online Retail form: .csv or .csv.xz.")],
    first: From = None,
    last: To = None,
) -> None:
    """Replay a file of real orders; twice changes nothing more."""
    from server.cli.shop import replay

    replay(file, _day("--from", first), _day("--to", last))


@app.command()
def doctor() -> None:
    """Say what is configured, what answers, what is missing, and the mend."""
    from server.cli.doctor import doctor

    doctor()


@admin.command("create-user")
def create_user(
    email: Annotated[str, typer.Argument(help="The address to sign in with.")],
    role: Role = None,
    password_stdin: Annotated[bool, typer.Option(help="Read the password from standard input.")] = False,
) -> None:
    """Create a user; without a password given, a random one is made and printed."""
    from server.cli.admin import create_user

    create_user(email, role or ["customer"], sys.stdin.readline().rstrip("\n") if password_stdin else None)


@admin.command("create-service-account")
def create_service_account(
    name: Annotated[str, typer.Argument(help="The service's name.")],
    role: Role = None,
) -> None:
    """Create a service account and print its key, once."""
    from server.cli.admin import create_service_account

    create_service_account(name, role or ["service"])


def _day(option: str, text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Failure(f"{option}: {text!r} is no day; write it as 2011-11-01") from None
