"""Mails: written with what causes them, and sent after the response."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog
import uuid_utils.compat
from sqlalchemy import text

from server.frame.sealing import SealBroken
from server.identity.credentials.keys import KeyRing
from server.identity.errors import EmailTaken
from server.identity.outbox import Letter, NotSent
from server.identity.outbox.local import FileOutbox
from server.identity.rules.mails import Occasion
from server.identity.service import Mailing, Throttling
from storage.database import Database
from storage.identity.store import IDENTITY
from storage.store import FRAME
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.mailboxes import TOKEN, Collected, FileMailbox
from tests.fixtures.servers import keep_in, running
from tests.identity.people import Clock, execute, kept, logged_in, person, registering, verified


@dataclass
class Failing(Collected):
    """An outbox that fails for a while."""

    broken: bool = True
    tried: int = 0

    async def send(self, letter: Letter) -> None:
        self.tried += 1
        if self.broken:
            raise NotSent("SMTPServerDisconnected")
        await super().send(letter)


@dataclass
class Post:
    """Mailing on a database, and its log lines."""

    mailing: Mailing
    outbox: Failing
    database: Database
    log: list[dict[str, Any]] = field(default_factory=list)

    async def waiting(self) -> list[UUID]:
        async with self.database.store(FRAME).reading() as tx:
            return list((await tx._connection.execute(text("SELECT id FROM identity.mails"))).scalars())

    async def asked(self, occasion: Occasion = Occasion.RESET, to: str = "ada@example.com") -> UUID:
        before = set(await self.waiting())
        async with self.database.store(IDENTITY).transaction() as tx:
            await self.mailing.request_mail(tx, occasion, to)
        [mail_id] = set(await self.waiting()) - before
        return mail_id

    async def jobs(self) -> list[Any]:
        async with self.database.store(FRAME).reading() as tx:
            return [job for job in await tx.jobs.list_undone(100) if job.task == "identity.send_mail"]


@pytest.fixture
async def post(database: Database, clock: Clock) -> Post:
    async with database.store(IDENTITY).transaction() as tx:
        assert await tx.accounts.add(person("ada@example.com", verify_time=clock()), password_hash="none")
    lines: list[dict[str, Any]] = []
    logger = structlog.wrap_logger(
        None, processors=[keep_in(lines)], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    throttling = Throttling(database.store(IDENTITY), KeyRing(database.store(IDENTITY), MASTER_KEYS, clock), clock)
    outbox = Failing()
    mailing = Mailing(
        database.store(IDENTITY),
        MASTER_KEYS,
        throttling,
        outbox,
        "https://shop.example/?t={token}",
        logger,
        clock,
        uuid_utils.compat.uuid7,
    )
    return Post(mailing, outbox, database, lines)


async def test_a_sent_mail_is_deleted(post: Post) -> None:
    """Nothing of it is kept; sending it again sends nothing."""
    post.outbox.broken = False
    mail_id = await post.asked()
    await post.mailing.send(mail_id)
    await post.mailing.send(mail_id)
    [letter] = post.outbox.letters
    assert (letter.to, letter.kind) == ("ada@example.com", "reset_password")
    assert "https://shop.example/?t=brp_" in letter.text
    assert await kept(post.database, "identity.mails") == ""


async def test_a_mail_that_was_not_sent_is_retried(post: Post, clock: Clock) -> None:
    """At growing intervals, by a job; the token is sent in the end, and the log says only what failed."""
    mail_id = await post.asked()
    for minutes in (1, 2, 4, 8, 16, 30, 30):
        await post.mailing.send(mail_id)
        assert (await post.jobs())[-1].run_at == clock() + timedelta(minutes=minutes)
        clock.advance(minutes=minutes)
    post.outbox.broken = False
    await post.mailing.send(mail_id)
    assert post.outbox.tried == 8
    assert TOKEN.search(post.outbox.letters[0].text)
    assert await post.waiting() == []
    assert {line["event"] for line in post.log} == {"mail_not_sent"}
    assert "ada@example.com" not in str(post.log)
    assert not TOKEN.search(str(post.log))


async def test_a_mail_is_given_up_after_a_day(post: Post, clock: Clock) -> None:
    """It is deleted, with a log line."""
    mail_id = await post.asked()
    await post.mailing.send(mail_id)
    clock.advance(hours=24)
    await post.mailing.send(mail_id)
    assert post.outbox.tried == 1
    assert await post.waiting() == []
    assert [line["level"] for line in post.log] == ["warning", "error"]


@pytest.mark.parametrize(
    "to", ["=?utf-8?q?a=40evil.example=2cb?=@example.com", "=?utf-8?q?a=0d=0a?=@example.com", "a\r\nb@example.com"]
)
async def test_a_mail_that_can_never_be_sent_is_given_up_at_once(
    post: Post, clock: Clock, tmp_path: Path, to: str
) -> None:
    """An earlier version accepted such addresses: the log line has no address, and there is no retry."""
    async with post.database.store(IDENTITY).transaction() as tx:
        assert await tx.accounts.add(person(to, verify_time=clock()), password_hash="none")
    mailing = post.mailing
    mailing._outbox = FileOutbox(tmp_path / "outbox", "backroom@localhost")
    mail_id = await post.asked(to=to)
    jobs = len(await post.jobs())
    await mailing.send(mail_id)
    assert await post.waiting() == []
    assert len(await post.jobs()) == jobs
    assert not (tmp_path / "outbox").exists()
    [line] = post.log
    assert (line["level"], line["event"]) == ("error", "mail_given_up")
    assert "example.com" not in str(line)


async def test_two_workers_send_a_mail_once(post: Post) -> None:
    """The one that leases it has it for a minute; the other looks again then, in case the first has died."""
    post.outbox.broken = False
    mail_id = await post.asked()
    await asyncio.gather(*(post.mailing.send(mail_id) for _ in range(6)))
    assert len(post.outbox.letters) == 1


async def test_a_mail_whose_sender_died_is_sent_later(post: Post, clock: Clock) -> None:
    """Once its lease has expired, and with the same token."""
    mail_id = await post.asked()
    async with post.database.store(IDENTITY).transaction() as tx:
        assert await tx.mails.take(mail_id, clock(), clock() + timedelta(minutes=1))
    post.outbox.broken = False
    await post.mailing.send(mail_id)
    assert post.outbox.letters == []
    assert (await post.jobs())[-1].run_at == clock() + timedelta(minutes=1)
    clock.advance(minutes=1)
    await post.mailing.send(mail_id)
    assert len(post.outbox.letters) == 1


async def test_a_rollback_sends_nothing(post: Post) -> None:
    """A mail exists when its transaction has committed, and only then."""

    async def asked_in_vain() -> None:
        async with post.database.store(IDENTITY).transaction() as tx:
            await post.mailing.request_mail(tx, Occasion.RESET, "ada@example.com")
            raise EmailTaken

    with pytest.raises(EmailTaken):
        await asked_in_vain()
    assert await post.waiting() == []
    assert await post.jobs() == []


async def test_a_mails_content_opens_only_under_its_own_id(post: Post) -> None:
    """Someone who can write to the database cannot have one person's token sent to another."""
    mine, hers = await post.asked(), await post.asked(to="eve@example.com")
    await execute(
        post.database,
        "UPDATE identity.mails SET content = (SELECT content FROM identity.mails WHERE id = :mine) WHERE id = :hers",
        mine=mine,
        hers=hers,
    )
    with pytest.raises(SealBroken):
        await post.mailing.send(hers)


async def test_leftover_mails_are_purged(post: Post, clock: Clock) -> None:
    """Mails whose job failed for good, after two days."""
    await post.asked()
    clock.advance(hours=47)
    await post.mailing.purge()
    assert len(await post.waiting()) == 1
    clock.advance(hours=2)
    await post.mailing.purge()
    assert await post.waiting() == []


async def test_a_server_with_a_worker_sends_mails(database: Database, database_url: str, tmp_path: Path) -> None:
    """Into a folder here: a new user has the mail within moments, and it verifies."""
    outbox = FileOutbox(tmp_path, "backroom@localhost")
    async with running(database, jobs_on=database_url, outbox=outbox) as server:
        api = server.anonymous
        await api.identity.Register(registering())
        api.mailbox = FileMailbox(tmp_path)
        await verified(api)
        assert (await logged_in(api)).access_token
    assert await kept(database, "identity.mails") == ""
