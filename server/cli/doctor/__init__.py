"""What is configured, what answers, what is missing, and the fix."""

import sys
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from server import settings
from server.cli.doctor.answers import machine, server
from server.cli.doctor.configuration import configuration
from server.cli.doctor.database import database
from server.cli.doctor.finding import Finding, State
from server.cli.document import print_document
from server.settings import Settings

_MARKS = {State.FINE: "[green]✓[/]", State.NOTICE: "[yellow]-[/]", State.BROKEN: "[red]✗[/]"}


def doctor(*, as_json: bool = False) -> None:
    """Prints the findings; exits with 1 where something is broken."""
    findings = examined(settings.read())
    if as_json:
        print_document({"findings": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
    if any(finding.state is State.BROKEN for finding in findings):
        sys.exit(1)


def examined(configured: Settings) -> Sequence[Finding]:
    return [*configuration(configured), *machine(), *database(configured), *server(configured)]


def _print(findings: Sequence[Finding]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("", "what", "found", "fix"):
        table.add_column(title, overflow="fold")
    for finding in findings:
        table.add_row(_MARKS[finding.state], finding.name, finding.found, finding.fix)
    Console().print(table)
