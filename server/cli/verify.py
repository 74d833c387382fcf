"""Whether all that must hold does hold: what an operator asks after a bad night."""

import asyncio
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from server import settings
from server.cli.audit import described, verified_whole
from server.cli.master_key import master_keys
from server.cli.opened import migrated_database
from server.cli.own_sandbox import running_sandbox
from server.cli.trade import opened_trade
from server.commerce.providers.port import PaymentProvider, ProviderUnavailable
from server.commerce.service.comparing import Comparing
from server.frame.sealing import MasterKeys
from server.settings import Settings
from storage.database import Database
from storage.invariants import Finding

_NAMED = 20


def verify() -> None:
    """Prints each invariant with its counts, and what breaks it; exits with 1 where one is, or was not checked."""
    console = Console(highlight=False)
    configured = settings.read()
    keys = master_keys(configured) if configured.embedded or configured.master_keys else None
    findings, away = asyncio.run(_findings(configured, keys))
    table = Table(box=None, pad_edge=False)
    for title in ("", "checked", "broken", ""):
        table.add_column(title, overflow="fold", justify="right" if title in ("checked", "broken") else "left")
    for finding in findings:
        broken = f"[red]{finding.violations:,}[/]" if finding.violations else "0"
        table.add_row(finding.id, f"{finding.checked:,}", broken, finding.law)
    console.print(table)
    for finding in findings:
        for name in finding.named:
            console.print(f"{finding.id} is broken by {name}", style="red", markup=False)
    for provider in away:
        console.print(f"I7 was not checked: the provider {provider} does not answer", style="red", markup=False)
    if keys is None:
        console.print("I12 was not checked by its signatures: BACKROOM_MASTER_KEY is not set", style="yellow")
    if away or any(finding.violations for finding in findings):
        sys.exit(1)


async def _findings(configured: Settings, keys: MasterKeys | None) -> tuple[Sequence[Finding], Sequence[str]]:
    """What was found, and the providers that did not answer."""
    sandbox = running_sandbox(configured) if configured.embedded and configured.payment_provider != "none" else None
    async with migrated_database(configured) as database, opened_trade(configured, sandbox) as trade:
        async with database.snapshot() as laws:
            findings = list(await laws.check())
        if keys is not None:
            findings.append(await _followed(database, keys))
        away = []
        for provider in trade.providers.values():
            try:
                findings.append(await _compared(database, provider))
            except ProviderUnavailable:
                away.append(provider.name)
    return findings, away


async def _followed(database: Database, keys: MasterKeys) -> Finding:
    verified, fault = await verified_whole(database, keys)
    law = "each event of the record is signed, and follows from the one before it"
    return Finding("I12", law, verified, int(fault is not None), [described(fault)] if fault else [])


async def _compared(database: Database, provider: PaymentProvider) -> Finding:
    comparison = await Comparing(database).compare(provider)
    law = f"the ledger of the provider {provider.name} equals ours"
    differing = comparison.differing
    return Finding("I7", law, comparison.compared, len(differing), differing[:_NAMED])
