"""Whether all that must hold does hold: what an operator asks after a bad night."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import aclosing

from rich.console import Console
from rich.table import Table

from server import settings
from server.cli.audit import described, verified_whole
from server.cli.document import print_document
from server.commerce.providers.configured import providers_of
from server.commerce.providers.port import PaymentProvider, ProviderUnavailable
from server.commerce.service.comparing import Comparing
from server.commerce.settings import CommerceSettings
from server.frame.module import SettingMissing
from server.frame.sealing import MasterKeys
from server.process.data_dir.master_key import master_keys
from server.process.data_dir.own_sandbox import running_sandbox, with_sandbox
from server.process.database import migrated_database
from server.process.failure import Failure
from server.settings import Settings
from storage.commerce.store import COMMERCE
from storage.database import Database
from storage.laws import Finding
from storage.schema import LAWS
from storage.store import FRAME

_NAMED = 20
_UNSIGNED = "I12 was not checked by its signatures: BACKROOM_MASTER_KEY is not set"


def verify(*, as_json: bool = False) -> None:
    """Prints each invariant with its counts, and what breaks it; exits with 1 where one is, or was not checked."""
    configured = settings.read()
    keys = master_keys(configured) if configured.embedded or configured.master_keys else None
    findings, away = asyncio.run(_findings(configured, keys))
    broken = any(finding.violations for finding in findings)
    unchecked = [f"I7 was not checked: the provider {provider} does not answer" for provider in away]
    if as_json:
        unsigned = [] if keys else [_UNSIGNED]
        laws = [_described(finding) for finding in findings]
        print_document({"holds": not broken and not away, "laws": laws, "unchecked": [*unchecked, *unsigned]})
    else:
        _print(findings, unchecked, signed=keys is not None)
    if away or broken:
        sys.exit(1)


def _described(finding: Finding) -> Mapping[str, object]:
    counts = {"checked": finding.checked, "broken": finding.violations}
    return {"id": finding.id, "law": finding.law, **counts, "broken_by": list(finding.named)}


def _print(findings: Sequence[Finding], unchecked: Sequence[str], *, signed: bool) -> None:
    console = Console(highlight=False)
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
    for line in unchecked:
        console.print(line, style="red", markup=False)
    if not signed:
        console.print(_UNSIGNED, style="yellow")


async def _findings(configured: Settings, keys: MasterKeys | None) -> tuple[Sequence[Finding], Sequence[str]]:
    """What was found, and the providers that did not answer."""
    pays = configured.of(CommerceSettings).payment_provider != "none"
    sandbox = running_sandbox(configured) if configured.embedded and pays else None
    try:
        providers = providers_of(with_sandbox(configured, sandbox).of(CommerceSettings))
    except SettingMissing as error:
        raise Failure(str(error)) from None
    async with migrated_database(configured) as database, aclosing(providers):
        findings = list(await database.check(LAWS))
        findings.append(await _owned(database, configured.issuer))
        if keys is not None:
            findings.append(await _followed(database, keys))
        away = []
        for provider in providers.by_name.values():
            try:
                findings.append(await _compared(database, provider))
            except ProviderUnavailable:
                away.append(provider.name)
    return findings, away


async def _owned(database: Database, issuer: str) -> Finding:
    async with database.store(FRAME).reading() as reading:
        kept = await reading.environment.find()
    broken = [f"{kept}, to which it belongs"] if kept not in (None, issuer) else []
    return Finding(
        "I13", f"the database belongs to BACKROOM_ISSUER, {issuer}", int(kept is not None), len(broken), broken
    )


async def _followed(database: Database, keys: MasterKeys) -> Finding:
    verified, fault = await verified_whole(database, keys)
    law = "each event of the record is signed, and follows from the one before it"
    return Finding("I12", law, verified, int(fault is not None), [described(fault)] if fault else [])


async def _compared(database: Database, provider: PaymentProvider) -> Finding:
    comparison = await Comparing(database.store(COMMERCE)).compare(provider)
    law = f"the ledger of the provider {provider.name} equals ours"
    differing = comparison.differing
    return Finding("I7", law, comparison.compared, len(differing), differing[:_NAMED])
