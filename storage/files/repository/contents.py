from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, case, delete, func, insert, literal, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from storage.base import Reader, Records, Repository
from storage.files.records import Content, FileState, KeptVerdict, Outcome, Verdict
from storage.files.repository.rows import CONTENTS
from storage.files.tables import contents, verdicts

_FIND = select(contents).where(contents.c.sha256 == bindparam("wanted"))
_DUE = (
    select(contents.c.sha256)
    .where(contents.c.scan_time <= bindparam("now"))
    .order_by(contents.c.scan_time)
    .limit(bindparam("most"))
)
_WAITS = contents.c.state.in_(("stored", "scanning"))
_VERDICTS = Records(
    KeptVerdict,
    verdict=(
        lambda *said: Verdict(Outcome(said[0]), *said[1:]),
        *("outcome", "scanner", "signatures", "detail", "create_time"),
    ),
)


class ContentReader(Reader):
    """Contents with their verdicts, as they are stored."""

    async def find(self, sha256: str) -> Content | None:
        return CONTENTS.first(await self._connection.execute(_FIND, {"wanted": sha256}))

    async def list_due(self, now: datetime, limit: int) -> Sequence[str]:
        """What is to be scanned by now, those first that were due first."""
        return (await self._connection.execute(_DUE, {"now": now, "most": limit})).scalars().all()

    async def list_verdicts(
        self, sha256: str, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[KeptVerdict]:
        """The verdicts on a content, latest first, below a key of the time and the id."""
        key = tuple_(verdicts.c.create_time, verdicts.c.id)
        statement = select(verdicts).where(verdicts.c.sha256 == sha256)
        if before is not None:
            statement = statement.where(key < before)
        statement = statement.order_by(verdicts.c.create_time.desc(), verdicts.c.id.desc()).limit(limit)
        return _VERDICTS.all(await self._connection.execute(statement))


class ContentRepository(ContentReader, Repository):
    """Contents, which are counted by the files that have them."""

    async def lock(self, sha256: str) -> Content | None:
        """A content, locked until the transaction ends."""
        return CONTENTS.first(await self._connection.execute(_FIND.with_for_update(), {"wanted": sha256}))

    async def refer(self, sha256: str, key: str, size_bytes: int, now: datetime) -> Content:
        """One file more has this content: the one that is kept already, or this one, to be scanned at once.

        It is locked until the transaction ends. Where it is kept under another key, this object is left over.
        Who deletes its last file at the same time is waited for, and then it is a new one.
        """
        new = upsert(contents).values(
            sha256=sha256,
            key=key,
            size_bytes=size_bytes,
            content_type="",
            state=FileState.STORED,
            reference_count=1,
            scan_time=now,
            scanner="",
            signatures="",
            detail="",
            create_time=now,
        )
        statement = new.on_conflict_do_update(
            index_elements=["sha256"], set_={"reference_count": contents.c.reference_count + 1}
        )
        return CONTENTS.one((await self._connection.execute(statement.returning(*contents.c))).one())

    async def release(self, content: Content) -> bool:
        """One file less has a content that was locked in this transaction; whether it was the last one.

        Without any file it is gone, and its object is left over.
        """
        mine = contents.c.sha256 == content.sha256
        if content.reference_count == 1:
            await self._connection.execute(delete(contents).where(mine))
            return True
        fewer = update(contents).where(mine).values(reference_count=contents.c.reference_count - 1)
        await self._connection.execute(fewer)
        return False

    async def claim(self, sha256: str, now: datetime, until: datetime) -> Content | None:
        """Has a content scanned by the caller alone until a time; None where it is not due, or somebody scans it.

        One that has a verdict keeps its state meanwhile.
        """
        statement = (
            update(contents)
            .where(contents.c.sha256 == sha256, contents.c.scan_time <= now)
            .values(scan_time=until, state=case((_WAITS, literal("scanning")), else_=contents.c.state))
            .returning(*contents.c)
        )
        return CONTENTS.first(await self._connection.execute(statement))

    async def renew(self, sha256: str, claimed: datetime, until: datetime) -> bool:
        """Goes on with a scan that was claimed until a time; whether nobody else has claimed it since."""
        statement = update(contents).where(contents.c.sha256 == sha256, contents.c.scan_time == claimed)
        done = await self._connection.execute(statement.values(scan_time=until).returning(contents.c.sha256))
        return done.first() is not None

    async def give_back(self, sha256: str, claimed: datetime, again: datetime) -> Content | None:
        """Leaves a scan that was claimed until a time to whoever comes later; None where somebody else has claimed it
        since."""
        statement = (
            update(contents)
            .where(contents.c.sha256 == sha256, contents.c.scan_time == claimed)
            .values(scan_time=again, state=case((_WAITS, literal("stored")), else_=contents.c.state))
            .returning(*contents.c)
        )
        return CONTENTS.first(await self._connection.execute(statement))

    async def keep_verdict(
        self, sha256: str, claimed: datetime, verdict_id: UUID, verdict: Verdict, content_type: str
    ) -> Content | None:
        """Ends a scan that was claimed until a time with its verdict; None where somebody else has claimed it since, or
        the content is gone."""
        statement = (
            update(contents)
            .where(contents.c.sha256 == sha256, contents.c.scan_time == claimed)
            .values(
                scan_time=None,
                state=verdict.outcome,
                content_type=content_type or contents.c.content_type,
                outcome=verdict.outcome,
                scanner=verdict.scanner,
                signatures=verdict.signatures,
                detail=verdict.detail,
                verdict_time=verdict.create_time,
            )
            .returning(*contents.c)
        )
        content = CONTENTS.first(await self._connection.execute(statement))
        if content is not None:
            row = {name: getattr(verdict, name) for name in Verdict.__slots__}
            await self._connection.execute(insert(verdicts).values(id=verdict_id, sha256=sha256, **row))
        return content

    async def request_scan(self, sha256: str, now: datetime) -> bool:
        """Has a content scanned that has a verdict; whether it has one, and does not wait for a scan already."""
        statement = update(contents).where(contents.c.sha256 == sha256, contents.c.scan_time.is_(None))
        done = await self._connection.execute(statement.values(scan_time=now).returning(contents.c.sha256))
        return done.first() is not None

    async def request_scans(self, scanner: str, signatures: str, now: datetime, limit: int) -> int:
        """Has up to so many contents scanned whose verdict is by another scanner or other signatures; how many."""
        others = or_(contents.c.scanner != scanner, contents.c.signatures != signatures)
        some = select(contents.c.sha256).where(contents.c.scan_time.is_(None), others).limit(limit)
        statement = update(contents).where(contents.c.sha256.in_(some.with_for_update(skip_locked=True)))
        changed = statement.values(scan_time=now).returning(contents.c.sha256).cte("changed")
        return int((await self._connection.execute(select(func.count()).select_from(changed))).scalar_one())
