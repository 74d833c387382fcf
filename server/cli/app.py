"""The command `backroom`; each command imports what it needs when it runs, so that help is fast."""

import gc
import os
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from server.process.failure import Failure, Interrupted
from server.process.grpc_environment import configure_grpc
from server.settings import SettingsError

app = typer.Typer(name="backroom", invoke_without_command=True, pretty_exceptions_enable=False)
admin = typer.Typer(help="Create accounts on the database itself, such as the first admin.", no_args_is_help=True)
app.add_typer(admin, name="admin")
keys = typer.Typer(help="The server's keys: list, rotate, revoke; and a new master key.", no_args_is_help=True)
app.add_typer(keys, name="keys")
jobs = typer.Typer(invoke_without_command=True)
app.add_typer(jobs, name="jobs")
audit = typer.Typer(help="The record of who changed what.", no_args_is_help=True)
app.add_typer(audit, name="audit")
events = typer.Typer(help="Events: what was counted of them.", no_args_is_help=True)
app.add_typer(events, name="events")

From = Annotated[str | None, typer.Option("--from", metavar="DATE", help="The first day, such as 2011-11-01.")]
To = Annotated[str | None, typer.Option("--to", metavar="DATE", help="The last day.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead; the exit code is the same.")]
Yes = Annotated[bool, typer.Option("--yes", help="Write without confirmation.")]
Role = Annotated[list[str] | None, typer.Option("--role", help="A role to grant; may be given more than once.")]


def main() -> None:
    os.umask(0o077)  # what a command writes is nobody else's to read, whichever library writes it
    configure_grpc()
    try:
        _require_docstrings()
        app()
    except (Failure, SettingsError) as failure:
        print(f"backroom: {failure}", file=sys.stderr)
        sys.exit(2 if isinstance(failure, SettingsError) else failure.exit_code)
    except KeyboardInterrupt:
        sys.exit(Interrupted.exit_code)
    except OSError as error:
        from server.process.data_dir.disk_problems import disk_problem

        # What no command foresaw, such as a port or a file without rights: a traceback would say no more.
        where = f"{error.filename}: " if error.filename else ""
        print(f"backroom: {disk_problem(error) or f'{where}{error.strerror or error}'}", file=sys.stderr)
        sys.exit(1)


@app.callback()
def backroom(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say which version this is, and on what it runs.")] = False,
) -> None:
    """The back room of a product: identity, orders and webhooks behind gRPC, on PostgreSQL.

    It is configured by the environment or a .env file: `backroom doctor` says how, and what is missing.
    """
    if version:
        from server.process.version import versions

        typer.echo(versions())
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _require_docstrings() -> None:
    if sys.flags.optimize > 1:
        raise SettingsError(
            "PYTHONOPTIMIZE: at 2, or with -OO, Python drops the docstrings, which are the messages that callers get;"
            " unset it, or set it to 1"
        )


@app.command()
def serve(
    worker: Annotated[bool, typer.Option(help="Do the jobs too; next to several, in a process of its own.")] = True,
    workers: Annotated[int, typer.Option(min=1, help="How many processes serve, on the same ports.")] = 1,
) -> None:
    """Serve calls until Ctrl-C; without DATABASE_URL on an embedded PostgreSQL, in BACKROOM_DATA_DIR."""
    if workers == 1:
        gc.disable()  # what is imported leaves nothing to collect; it is enabled once the server answers
        from server.cli.serve import serve

        serve(with_worker=worker)
    else:
        from server.cli.welcome import print_welcome
        from server.process.workers.supervise import supervise

        supervise(workers, print_welcome, with_worker=worker)


@app.command("serving-process", hidden=True)
def serving_process() -> None:
    """Serve as one worker of several; started by `serve --workers`."""
    gc.disable()  # as for one process
    from server.process.workers.process import serving_process

    serving_process()


@app.command()
def worker() -> None:
    """Do the background jobs, such as payments and webhooks, and serve no calls."""
    from server.cli.worker import worker

    worker()


@app.command()
def migrate() -> None:
    """Bring the database's tables up to date; repeating it changes nothing."""
    from server.cli.migrate import migrate

    migrate()


@app.command()
def adopt(yes: Yes = False) -> None:
    """Make a copied database that of BACKROOM_ISSUER; stop the servers on it first.

    Nothing that began in the other environment continues: it ends sessions, API
    keys, the keys that sign, queued jobs, deliveries and mails, and disables the
    webhooks' endpoints. It asks for confirmation; without a terminal it needs --yes.
    """
    from server.cli.adopt import adopt

    adopt(yes=yes)


@app.command()
def demo(yes: Yes = False) -> None:
    """Replay one real day of a real shop, and roll out a flag, through the running server or one that it starts.

    It asks for confirmation before it writes in production, with DATABASE_URL or BACKROOM_API_KEY
    set, to a server on another machine, or to one that does not use the embedded database of BACKROOM_DATA_DIR. Without
    a terminal it needs --yes then.
    """
    from server.cli.replay import demo

    demo(yes=yes)


@app.command()
def replay(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Orders in the form of UCI Online Retail: .csv or .csv.xz.")
    ],
    first: From = None,
    last: To = None,
    yes: Yes = False,
) -> None:
    """Replay a file of real orders; a second time changes nothing.

    It asks for confirmation where `backroom demo` does.
    """
    from server.cli.replay import replay

    replay(file, _day("--from", first), _day("--to", last), yes=yes)


@app.command()
def bench(
    works: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WORK]...", help="What to measure; all by default. A name that is none lists them."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="The server's host:port; by default BACKROOM_GRPC_ADDRESS.")
    ] = None,
    callers: Annotated[int, typer.Option(min=1, max=10_000, help="How many call concurrently.")] = 64,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long each work is measured.")] = 5,
    products: Annotated[int, typer.Option(min=2, max=100_000, help="How many products to make.")] = 1000,
    rate: Annotated[
        float | None, typer.Option(min=0.1, max=1e6, help="Call so often a second, whatever the server does.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Measure how fast a server answers, and check what it kept.

    It leaves its products and orders behind, and asks for confirmation where `backroom demo` does.
    """
    try:
        from server.cli.bench import bench
        from server.cli.bench_works import Load
    except ModuleNotFoundError as error:
        if error.name != "hpack":
            raise
        raise Failure("bench: needs hpack, which is not installed: pip install hpack") from None

    bench(works or [], address, Load(callers, seconds, rate), products=products, yes=yes)


@app.command()
def verify(as_json: Json = False) -> None:
    """Check that stock, orders, payments and the audit record add up; exits with 1 where they do not.

    --json: holds, laws (id, law, checked, broken, broken_by) and unchecked.
    """
    from server.cli.verify import verify

    verify(as_json=as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is configured, what answers, what is missing, and the fix; exits with 1 where something is broken.

    --json: findings (name, found, state: fine, notice or broken, fix).
    """
    from server.cli.doctor import doctor

    doctor(as_json=as_json)


@jobs.callback()
def list_jobs(context: typer.Context, as_json: Json = False) -> None:
    """List the background jobs that wait, run or have failed, 200 at most.

    --json: jobs (id, task, state: waiting, running or failed, tries, not_before,
    args), and more: whether there are more.
    """
    if context.invoked_subcommand is None:
        from server.cli.jobs import list_jobs

        list_jobs(as_json=as_json)


@jobs.command("retry")
def retry_job(
    job_id: Annotated[int, typer.Argument(metavar="JOB", help="The number of a job that has failed.")],
) -> None:
    """Put a job that has failed back into the queue."""
    from server.cli.jobs import retry_job

    retry_job(job_id)


@app.command("sandbox-provider")
def sandbox_provider(
    address: Annotated[str, typer.Option(help="Where to listen; with port 0, a free one.")] = "127.0.0.1:8090",
    ledger: Annotated[Path, typer.Option(help="Where it keeps its payments: one SQLite file.")] = Path(
        ".backroom/sandbox.sqlite"
    ),
    webhook_url: Annotated[str, typer.Option(help="Where to send its webhooks; empty: nowhere.")] = "",
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
    anchor_file: Annotated[
        Path | None, typer.Option(help="A file of anchors, as BACKROOM_AUDIT_ANCHOR_FILE has them, that must be in it.")
    ] = None,
    anchor: Annotated[
        str | None,
        typer.Option(metavar="POSITION:HASH", help="One anchor that must be in it, as this command prints it."),
    ] = None,
) -> None:
    """Prove that the record of changes is whole; exits with 1 where it is not, and names the first fault."""
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
    as_json: Json = False,
) -> None:
    """List what was changed, the latest last.

    --json: events (sequence, create_time, caller_id, action, resource, result,
    address, call_id, position).
    """
    from server.cli.audit import Wanted, list_audit

    list_audit(
        Wanted(caller, action, resource, result, _day("--from", first), _day("--to", last)), limit, as_json=as_json
    )


@events.command("chart")
def chart_events(
    event_type: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="The type of the events.")] = None,
    meter: Annotated[str | None, typer.Option(help="A meter, in the place of a type.")] = None,
    aggregation: Annotated[
        str, typer.Option(help="Count, sum, average, min, max, latest, distinct, p50, p99 and so on.")
    ] = "count",
    name: Annotated[str, typer.Option("--of", metavar="PROPERTY", help="Of which property, such as total.")] = "",
    group_by: Annotated[str, typer.Option(metavar="PROPERTY", help="By which property they are grouped.")] = "",
    top: Annotated[int, typer.Option(min=1, max=100, help="How many groups are shown by themselves.")] = 5,
    by: Annotated[str, typer.Option(help="By minute, hour, day, week, month, quarter or year.")] = "day",
    zone: Annotated[str, typer.Option(help="By whose clocks, such as Europe/Berlin.")] = "UTC",
    first: From = None,
    last: To = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead.")] = False,
) -> None:
    """Draw how much happened, by time: the last 7 days, unless told otherwise.

    It asks the running server, or one that it starts, with BACKROOM_API_KEY or the key that it makes for itself.
    """
    from server.cli.events_chart import Asked, chart

    days = (_day("--from", first), _day("--to", last))
    chart(Asked(event_type, meter, aggregation, name, group_by, top, by, zone, *days), as_csv=as_csv)


@admin.command("create-user")
def create_user(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The address to sign in with.")],
    role: Role = None,
    password_stdin: Annotated[bool, typer.Option(help="Read the password from standard input.")] = False,
) -> None:
    """Create a user, by default a customer; a random password is made and printed unless one is given."""
    from server.cli.admin import create_user, password_from

    create_user(email, role or ["customer"], password_from(sys.stdin.buffer) if password_stdin else None)


@admin.command("create-service-account")
def create_service_account(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The service's name.")],
    role: Role = None,
) -> None:
    """Create a service account, by default with the role service, and print its key, once."""
    from server.cli.admin import create_service_account

    create_service_account(name, role or ["service"])


@keys.command("list")
def list_keys(as_json: Json = False) -> None:
    """List the keys, what each is good for, and until when.

    --json: keys (id, use, state, activate_time, end_time, resealing_due).
    """
    from server.cli.keys import list_keys

    list_keys(as_json=as_json)


@keys.command("rotate")
def rotate_keys(
    activate_after: Annotated[
        float, typer.Option(min=2, max=86_400, help="After how many seconds the new keys are used.")
    ] = 600,
) -> None:
    """Make new keys, and seal every secret by the first master key; calls go on meanwhile."""
    from server.cli.keys import rotate_keys

    rotate_keys(activate_after)


@keys.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(metavar="KID", help="The key's id.")]) -> None:
    """Revoke a key that leaked: within a second no server accepts what was signed by it."""
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
