"""Whether all laws hold: what an operator checks after an incident."""

import asyncio
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from server import settings
from server.cli.audit import described, verified_whole
from server.cli.document import print_document
from server.commerce.settings import CommerceSettings
from server.frame.module import SettingMissing, Unchecked
from server.frame.sealing import MasterKeys
from server.modules import MODULES, manifest
from server.process.data_dir.master_key import master_keys
from server.process.data_dir.own_sandbox import with_running_sandbox
from server.process.database import migrated_database
from server.process.failure import Failure
from server.settings import Settings
from storage.database import Database
from storage.laws import Finding
from storage.schema import LAWS
from storage.store import FRAME

_UNSIGNED = "I12 was not checked by its signatures: BACKROOM_MASTER_KEY is not set"


def verify(*, as_json: bool = False) -> None:
    """Prints each invariant with its counts, and what breaks it; exits with 1 where one is, or was not checked."""
    configured = settings.read()
    keys = master_keys(configured) if configured.embedded or configured.master_keys else None
    if configured.of(CommerceSettings).payment_provider != "none":
        configured = with_running_sandbox(configured)
    found = asyncio.run(_findings(configured, keys))
    findings = [each for each in found if isinstance(each, Finding)]
    unchecked = [each.why for each in found if isinstance(each, Unchecked)]
    broken = any(finding.violations for finding in findings)
    if as_json:
        unsigned = [] if keys else [_UNSIGNED]
        laws = [_described(finding) for finding in findings]
        print_document({"holds": not broken and not unchecked, "laws": laws, "unchecked": [*unchecked, *unsigned]})
    else:
        _print(findings, unchecked, signed=keys is not None)
    if unchecked or broken:
        sys.exit(1)


def _described(finding: Finding) -> Mapping[str, object]:
    counts = {"checked": finding.checked, "broken": finding.violations}
    return {"id": finding.id, "law": finding.law, **counts, "broken_by": list(finding.violating)}


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
        for name in finding.violating:
            console.print(f"{finding.id} is broken by {name}", style="red", markup=False)
    for line in unchecked:
        console.print(line, style="red", markup=False)
    if not signed:
        console.print(_UNSIGNED, style="yellow")


async def _findings(configured: Settings, keys: MasterKeys | None) -> Sequence[Finding | Unchecked]:
    findings: list[Finding | Unchecked] = []
    async with migrated_database(configured) as database:
        findings += await database.check(LAWS)
        findings.append(await _owned([database, *database.apart.values()], configured.issuer))
        if keys is not None:
            findings.append(await _followed(database, keys))
        for name, check in ((name, manifest(name).check) for name in MODULES):
            if check is None:
                continue
            try:
                findings += await check(database, configured.of_modules[name])
            except SettingMissing as error:
                raise Failure(str(error)) from None
    return findings


async def _owned(databases: Sequence[Database], issuer: str) -> Finding:
    owners: list[str] = []
    for database in databases:
        async with database.store(FRAME).reading() as reading:
            kept = await reading.environment.find()
        owners += [] if kept is None else [kept]
    broken = [f"{kept}, to which it belongs" for kept in owners if kept != issuer]
    return Finding("I13", f"the database belongs to BACKROOM_ISSUER, {issuer}", len(owners), len(broken), broken)


async def _followed(database: Database, keys: MasterKeys) -> Finding:
    verified, fault = await verified_whole(database, keys)
    law = "each event of the record is signed, and follows from the one before it"
    return Finding("I12", law, verified, int(fault is not None), [described(fault)] if fault else [])
