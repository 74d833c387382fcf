import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter

from server.files.blobs import BlobMissing, Blobs, BlobsUnavailable
from server.files.errors import ScannerMissing, ScannerNotResponding
from server.files.rules.access import check_may_see
from server.files.rules.receiving import check_uploaded
from server.files.scanning import Findings, Scanner, ScannerUnavailable, standing
from server.files.service.answers import REQUESTED, Requested
from server.files.service.changing import resource, tell_owners
from server.files.service.scans import SCAN, scan_job, tell_job
from server.frame.caller import Caller
from server.frame.outages import Outage
from server.frame.repeating import once
from storage.files.records import Content, Outcome, Verdict
from storage.files.store import FilesStore, FilesTransaction
from storage.frame.records import NOBODY, ChangeContext

_CLAIMED = timedelta(seconds=60)
"""Whoever scans is taken for dead after this; it says again and again that it is not."""
_RENEWED_SECONDS = 15.0
_AGAIN = timedelta(seconds=30)
"""After which a content is scanned again of which nothing could be learned."""
_AT_ONCE = 20
_REQUESTED_AT_ONCE = 5_000


@dataclass
class _Claim:
    """A content that is scanned here, and nowhere else until a time."""

    content: Content
    until: datetime


class Scanning:
    """Has contents scanned, each by one worker at a time, and tells those whose files they are."""

    def __init__(
        self,
        store: FilesStore,
        blobs: Blobs,
        scanner: Scanner | None,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        logger: structlog.typing.FilteringBoundLogger,
        registry: CollectorRegistry,
    ) -> None:
        """Without a scanner, contents wait."""
        self._store = store
        self._blobs = blobs
        self._scanner = scanner
        self._now = now
        self._new_id = new_id
        self._scanning_due = False
        self._outage = Outage(logger, "scanner_unavailable", "scanner_available")
        self._scanned = Counter(
            "backroom_files_scanned", "Contents scanned, by what was found", ["outcome"], registry=registry
        )

    async def scan_due(self) -> None:
        """Scans what is due, one after the other: also what a dead worker left, or what waited for the scanner."""
        if self._scanner is None or self._scanning_due:  # by the call before this one, which took longer
            return
        self._scanning_due = True
        try:
            while due := await self._find_due():
                for sha256 in due:
                    if not await self.scan(sha256):
                        return
        finally:
            self._scanning_due = False

    async def _find_due(self) -> Sequence[str]:
        async with self._store.reading() as reading:
            return await reading.contents.list_due(self._now(), _AT_ONCE)

    async def scan(self, sha256: str) -> bool:
        """Scans a content that is due and that nobody else scans; False where the scanner or the storage is away.

        Nothing is known then, and the content waits for the next time.
        """
        if self._scanner is None:
            return False
        claim = await self._claim(sha256)
        if claim is None:
            return True
        try:
            async with self._renewed(claim):
                signatures = await self._scanner.signatures()
                findings = standing(claim.content.verdict, await self._findings(self._scanner, claim.content))
        except (ScannerUnavailable, BlobsUnavailable) as error:
            self._outage.record_failure(why=str(error) or type(error).__name__)
            await self._give_back(claim)
            return False
        self._outage.record_recovery()
        verdict = Verdict(findings.outcome, self._scanner.name, signatures, findings.detail, self._now())
        await self._keep(claim, verdict, findings.content_type)
        return True

    async def request(self, caller: Caller, file_id: UUID | None, context: ChangeContext) -> int:
        """Has one file scanned again, or all that were not scanned with the present signatures; how many contents.

        Raises ScannerMissing, ScannerNotResponding, FileNotFound, FileStateConflict.
        """
        if self._scanner is None:
            raise ScannerMissing
        try:
            name, signatures, now = self._scanner.name, await self._scanner.signatures(), self._now()
        except ScannerUnavailable as error:
            raise ScannerNotResponding from error

        async def act(tx: FilesTransaction) -> Requested:
            if file_id is None:
                return Requested(await _request_all(tx, name, signatures, now))
            listed = await tx.files.find(file_id)
            file = check_may_see(listed.file if listed else None, caller)
            check_uploaded(file)
            assert file.sha256 is not None  # noqa: S101 - it is uploaded
            requested = await tx.contents.request_scan(file.sha256, now)
            await tx.jobs.defer([scan_job(file.sha256)])
            return Requested(int(requested))

        named = resource(file_id) if file_id else "files"
        return (await once(self._store, context, REQUESTED, act, named)).content_count

    async def request_changed(self) -> None:
        """Has all contents scanned again that were not scanned with the present signatures."""
        if self._scanner is None:
            return
        try:
            signatures = await self._scanner.signatures()
        except ScannerUnavailable:
            return  # scans report it
        name, now, count = self._scanner.name, self._now(), _REQUESTED_AT_ONCE
        while count == _REQUESTED_AT_ONCE:
            async with self._store.transaction() as tx:
                count = await tx.contents.request_scans(name, signatures, now, _REQUESTED_AT_ONCE)

    async def tell(self, sha256: str) -> None:
        """Gives the remaining files of a content its state."""
        more = True
        while more:
            async with self._store.transaction() as tx:
                content = await tx.contents.lock(sha256)
                more = content is not None and await tell_owners(tx, content, self._now())

    async def _claim(self, sha256: str) -> "_Claim | None":
        now = self._now()
        async with self._store.transaction() as tx:
            content = await tx.contents.claim(sha256, now, now + _CLAIMED)
            if content is None:
                return None
            await self._tell(tx, content)
        return _Claim(content, now + _CLAIMED)

    @asynccontextmanager
    async def _renewed(self, claim: "_Claim") -> AsyncIterator[None]:
        """Keeps a claim for as long as the block lasts."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(_RENEWED_SECONDS)
                later = self._now() + _CLAIMED
                async with self._store.transaction() as tx:
                    if not await tx.contents.renew(claim.content.sha256, claim.until, later):
                        return
                claim.until = later

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])

    async def _findings(self, scanner: Scanner, content: Content) -> Findings:
        try:
            async with aclosing(self._blobs.read(content.key, 0, content.size_bytes)) as parts:
                return await scanner.scan(content.size_bytes, parts)
        except BlobMissing:
            return Findings(Outcome.UNSCANNABLE, "its bytes are missing in the storage")

    async def _give_back(self, claim: "_Claim") -> None:
        async with self._store.transaction() as tx:
            content = await tx.contents.give_back(claim.content.sha256, claim.until, self._now() + _AGAIN)
            if content is not None:
                await self._tell(tx, content)

    async def _keep(self, claim: "_Claim", verdict: Verdict, content_type: str) -> None:
        sha256 = claim.content.sha256
        async with self._store.transaction() as tx:
            content = await tx.contents.keep_verdict(sha256, claim.until, self._new_id(), verdict, content_type)
            if content is None:  # somebody else scans it, or it is gone
                return
            await self._tell(tx, content)
            await tx.audit.record([ChangeContext(NOBODY, SCAN, self._now()).entry(f"content/{sha256}")])
        self._scanned.labels(verdict.outcome.value).inc()

    async def _tell(self, tx: FilesTransaction, content: Content) -> None:
        if await tell_owners(tx, content, self._now()):
            await tx.jobs.defer([tell_job(content.sha256)])


async def _request_all(tx: FilesTransaction, scanner: str, signatures: str, now: datetime) -> int:
    """In statements of a bounded size, all in one transaction."""
    total = 0
    while count := await tx.contents.request_scans(scanner, signatures, now, _REQUESTED_AT_ONCE):
        total += count
    return total
