"""The command `backroom`; each command imports what it needs when it runs, so that help comes at once."""

import gc
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
keys = typer.Typer(help="The keys that sign tokens and derive secrets.", no_args_is_help=True)
app.add_typer(keys, name="keys")
jobs = typer.Typer(help="The jobs that wait, run or have failed.", invoke_without_command=True)
app.add_typer(jobs, name="jobs")
audit = typer.Typer(help="The record of who changed what.", no_args_is_help=True)
app.add_typer(audit, name="audit")

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
        sys.exit(2 if isinstance(failure, SettingsError) else failure.exit_code)


@app.command()
def serve(
    worker: Annotated[bool, typer.Option(help="Do the jobs too; of several processes, in the first.")] = True,
    workers: Annotated[int, typer.Option(min=1, help="How many processes serve, on the same ports.")] = 1,
) -> None:
    """Serve the modules; without DATABASE_URL on an embedded PostgreSQL."""
    if workers == 1:
        gc.disable()  # what is imported leaves nothing to collect; it is enabled once the server answers
        from server.cli.serve import serve

        serve(with_worker=worker)
    else:
        from server.cli.supervise import supervise

        supervise(workers, with_worker=worker)


@app.command("serving-process", hidden=True)
def serving_process() -> None:
    """Serve as one of several; started by `serve --workers`."""
    gc.disable()  # as for one process
    from server.cli.serving.process import serving_process

    serving_process()


@app.command()
def worker() -> None:
    """Do the jobs that the servers leave behind their answers, and serve nothing."""
    from server.cli.worker import worker

    worker()


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
def bench(
    works: Annotated[
        list[str] | None, typer.Argument(metavar="[WORK]...", help="What to measure; all by default.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="The server's host:port; by default BACKROOM_GRPC_ADDRESS.")
    ] = None,
    callers: Annotated[int, typer.Option(min=1, max=10_000, help="How many call at once.")] = 64,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long each work is measured.")] = 5,
    products: Annotated[int, typer.Option(min=2, max=100_000, help="How many products to make.")] = 1000,
    rate: Annotated[
        float | None, typer.Option(min=0.1, max=1e6, help="Call so often a second, whatever the server does.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write to a server that is not on this machine, too.")] = False,
) -> None:
    """Measure how fast a server answers, and check what it kept; leaves products and orders behind."""
    from server.cli.bench import bench
    from server.cli.bench_works import Load

    bench(works or [], address, Load(callers, seconds, rate), products=products, yes=yes)


@app.command()
def verify() -> None:
    """Check what must hold of all that is kept, in one snapshot; exits with 1 where it does not."""
    from server.cli.verify import verify

    verify()


@app.command()
def doctor() -> None:
    """Say what is configured, what answers, what is missing, and the mend."""
    from server.cli.doctor import doctor

    doctor()


@jobs.callback()
def list_jobs(context: typer.Context) -> None:
    """List the jobs that wait, run or have failed."""
    if context.invoked_subcommand is None:
        from server.cli.jobs import list_jobs

        list_jobs()


@jobs.command("retry")
def retry_job(job_id: Annotated[int, typer.Argument(help="The number of a job that has failed.")]) -> None:
    """Put a job that has failed back into the queue."""
    from server.cli.jobs import retry_job

    retry_job(job_id)


@app.command("sandbox-provider")
def sandbox_provider(
    address: Annotated[str, typer.Option(help="Where to listen; with port 0, a free one.")] = "127.0.0.1:8090",
    ledger: Annotated[Path, typer.Option(help="Its books, one SQLite file.")] = Path(".backroom/sandbox.sqlite"),
    webhook_url: Annotated[str, typer.Option(help="Where to tell what happened; empty for nowhere.")] = "",
    secrets_stdin: Annotated[
        bool, typer.Option(help="Read the key and the webhooks' secret from standard input, a line each.")
    ] = False,
    with_parent: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Run a payment provider to try payments with; BACKROOM_SANDBOX_KEY and _WEBHOOK_SECRET are its secrets."""
    from server.cli.sandbox import sandbox_provider

    sandbox_provider(address, ledger, webhook_url, secrets_stdin=secrets_stdin, with_parent=with_parent)


@audit.command("verify")
def verify_audit(
    anchor_file: Annotated[Path | None, typer.Option(help="Anchors that it must contain, a JSON line each.")] = None,
    anchor: Annotated[str | None, typer.Option(metavar="POSITION:HASH", help="One that it must contain.")] = None,
) -> None:
    """Check the record from its first event to its last; exits with 1 where it is not whole, and names what is not."""
    from server.cli.audit import verify_audit

    verify_audit(anchor_file, anchor)


@audit.command("list")
def list_audit(
    caller: Annotated[str | None, typer.Option(help="Only this account's, by its id.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this method's or job's.")] = None,
    resource: Annotated[str | None, typer.Option(help="Only this resource's, such as product/TEA.")] = None,
    result: Annotated[str | None, typer.Option(help="Only those with this result.")] = None,
    first: From = None,
    last: To = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
) -> None:
    """List what was changed, the latest last."""
    from server.cli.audit import Wanted, list_audit

    list_audit(Wanted(caller, action, resource, result, _day("--from", first), _day("--to", last)), limit)


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


@keys.command("list")
def list_keys() -> None:
    """List the keys, what each is good for, and until when."""
    from server.cli.keys import list_keys

    list_keys()


@keys.command("rotate")
def rotate_keys(
    activate_after: Annotated[
        float, typer.Option(min=2, max=86_400, help="After how many seconds the new keys are used.")
    ] = 600,
) -> None:
    """Make new keys, and seal everything by the first master key; no call fails meanwhile."""
    from server.cli.keys import rotate_keys

    rotate_keys(activate_after)


@keys.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(metavar="KID", help="The key's id.")]) -> None:
    """Have nothing taken any more that a leaked key made; within a second on every server."""
    from server.cli.keys import revoke_key

    revoke_key(key_id)


@keys.command("new-master-key")
def new_master_key() -> None:
    """Print a new master key, for BACKROOM_MASTER_KEY."""
    from server.cli.keys import print_master_key

    print_master_key()


def _day(option: str, text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Failure(f"{option}: {text!r} is no day; write it as 2011-11-01") from None
