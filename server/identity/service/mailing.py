import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from server.frame.retention import purge_in_batches
from server.frame.sealing import MasterKeys
from server.identity.credentials.secrets import mail_token_hash, new_mail_token, with_purpose
from server.identity.outbox import Letter, NeverSent, NotSent, Outbox
from server.identity.rules import mails as rules
from server.identity.rules import throttling
from server.identity.service.throttling import Throttling
from storage.frame.records import Job
from storage.identity.records import MailPurpose, MailToken, SealedMail
from storage.identity.store import IdentityStore, IdentityTransaction

SEND = "identity.send_mail"

_TOKEN_FOR = {
    rules.Occasion.REGISTERED: MailPurpose.VERIFY,
    rules.Occasion.VERIFY: MailPurpose.VERIFY,
    rules.Occasion.RESET: MailPurpose.RESET,
}


class Mailing:
    """What people are told by mail: asked for in the transaction that causes it, and sent behind the answer.

    Whether an address has an owner is looked up by whoever sends, so that asking is the same work for every address.
    """

    def __init__(
        self,
        store: IdentityStore,
        master_keys: MasterKeys,
        throttling: Throttling,
        outbox: Outbox,
        link: str,
        logger: structlog.typing.FilteringBoundLogger,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        """`link` holds "{token}", or is empty where a mail holds the bare token."""
        self._store = store
        self._master_keys = master_keys
        self._throttling = throttling
        self._outbox = outbox
        self._link = link
        self._logger = logger
        self._now = now
        self._new_id = new_id

    async def ask(
        self, tx: IdentityTransaction, occasion: rules.Occasion, to: str, account_id: UUID | None = None
    ) -> None:
        """Has the owner of an address told of an occasion, if there is one."""
        mail_id, now = self._new_id(), self._now()
        content = rules.Content(to, new_mail_token(_TOKEN_FOR[occasion]), str(account_id or ""))
        sealed = self._master_keys.seal(_purpose(mail_id), json.dumps(asdict(content)).encode())
        await tx.mails.add(SealedMail(mail_id, occasion, sealed, now, 0, now))
        await tx.jobs.defer([Job(SEND, {"mail_id": str(mail_id)})])

    async def send(self, mail_id: UUID) -> None:
        """Sends a mail, and forgets it; where that fails, it is tried again until it is of no more use."""
        await self._throttling.ready()
        now = self._now()
        async with self._store.reading() as reading:
            mail = await reading.mails.find(mail_id)
        if mail is None:
            return
        if now - mail.create_time >= rules.GIVEN_UP_AFTER:
            self._logger.error("mail_given_up", kind=mail.kind, mail_id=str(mail_id))
            await self._forget(mail_id)
            return
        until = now + rules.wait_after(mail.attempt_count)
        async with self._store.transaction() as tx:
            taken = await tx.mails.take(mail_id, now, until)
            letter = await self._letter(tx, mail) if taken else None
        if not taken:
            await self._try_again(mail_id, mail.next_attempt_time)
        elif letter is not None:
            await self._send(letter, until)

    async def _send(self, letter: Letter, until: datetime) -> None:
        try:
            await self._outbox.send(letter)
        except NeverSent as error:
            # Without the frames of an exception, which may show the address.
            why = str(error)
            self._logger.error("mail_given_up", kind=letter.kind, mail_id=str(letter.id), why=why)  # noqa: TRY400
            await self._forget(letter.id)
        except NotSent as error:
            self._logger.warning("mail_not_sent", kind=letter.kind, mail_id=str(letter.id), why=str(error))
            await self._try_again(letter.id, until)
        else:
            await self._forget(letter.id)

    async def _letter(self, tx: IdentityTransaction, mail: SealedMail) -> Letter | None:
        """What is to go out, whose token counts from then on; None where nothing is, and the mail is forgotten."""
        content = rules.Content(**json.loads(self._master_keys.open(_purpose(mail.id), mail.content)))
        due = await self._due(tx, rules.Occasion(mail.kind), content)
        first = mail.attempt_count == 0
        if due is None or (first and not await self._may_send(tx, due.kind, content.to)):
            await tx.mails.delete(mail.id)
            return None
        token, purpose = content.token, rules.PURPOSE.get(due.kind)
        if purpose is not None:
            token = with_purpose(token, purpose)
        if first and purpose is not None:
            now = self._now()
            lasting = now + rules.TOKEN_LIFE[purpose]
            await tx.mail_tokens.put(MailToken(mail_token_hash(token), due.account.id, purpose, now, lasting))
        said = rules.mail_text(due.kind, token, self._link, due.account.create_time)
        return Letter(mail.id, due.kind, content.to, said.subject, said.text, mail.create_time)

    async def _due(self, tx: IdentityTransaction, occasion: rules.Occasion, content: rules.Content) -> rules.Due | None:
        await tx.accounts.lock_email(content.to)
        owner, _ = await tx.accounts.find_by_email(content.to) or (None, None)
        if occasion is rules.Occasion.REGISTERED:
            registered = await tx.accounts.find(UUID(content.account_id))
            pending = [registered] if registered is not None and registered.disable_time is None else []
        else:
            pending = list(await tx.accounts.list_unverified(content.to, limit=2))
        return rules.mail_due(occasion, content, owner, pending)

    async def _may_send(self, tx: IdentityTransaction, kind: rules.MailKind, to: str) -> bool:
        """Whether the address has not had enough mails of this kind lately; the token it was sent last goes on."""
        return await self._throttling.try_count(tx, throttling.mailing(to, kind))

    async def purge(self) -> None:
        """Forgets tokens that are good for nothing any more, and mails that nobody took care of."""
        now = self._now()
        await purge_in_batches(self._store, lambda tx, limit: tx.mail_tokens.purge(now, limit))
        given_up = self._now() - rules.GIVEN_UP_AFTER - timedelta(days=1)
        await purge_in_batches(self._store, lambda tx, limit: tx.mails.purge(given_up, limit))

    async def _try_again(self, mail_id: UUID, at: datetime) -> None:
        async with self._store.transaction() as tx:
            await tx.jobs.defer([Job(SEND, {"mail_id": str(mail_id)}, run_at=at)])

    async def _forget(self, mail_id: UUID) -> None:
        async with self._store.transaction() as tx:
            await tx.mails.delete(mail_id)


def _purpose(mail_id: UUID) -> str:
    return f"mail/{mail_id}"
