from collections.abc import Callable
from datetime import datetime

from server.frame.answers import DONE
from server.frame.repeating import find_answer, once
from server.identity.credentials.devices import Devices
from server.identity.credentials.passwords import Passwords
from server.identity.credentials.secrets import mail_token_hash
from server.identity.errors import MailTokenInvalid
from server.identity.rules import throttling
from server.identity.rules.accounts import normal_email
from server.identity.rules.devices import KeptDevice
from server.identity.rules.mails import Occasion
from server.identity.service.address_owners import owner_by_token, settle_address
from server.identity.service.answers import DEVICE, MAIL_ASKED
from server.identity.service.mailing import Mailing
from server.identity.service.throttling import Throttling
from storage.frame.records import ChangeContext
from storage.identity.records import Account, MailPurpose
from storage.identity.store import IdentityStore, IdentityTransaction


class Recovery:
    """How an address is verified, and how one who forgot the password comes in again."""

    def __init__(
        self,
        store: IdentityStore,
        passwords: Passwords,
        throttling: Throttling,
        mailing: Mailing,
        devices: Devices,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._throttling = throttling
        self._mailing = mailing
        self._devices = devices
        self._now = now

    async def send_verification(self, email: str, context: ChangeContext) -> None:
        """Sends a token to an address that is not verified yet; raises TooManyAttempts, whoever the address is of."""
        await self._ask_for_mail(Occasion.VERIFY, email, context)

    async def request_reset(self, email: str, context: ChangeContext) -> None:
        """Sends a token to an address that has an account; raises TooManyAttempts, whoever the address is of."""
        await self._ask_for_mail(Occasion.RESET, email, context)

    async def verify_email(self, token: str, context: ChangeContext) -> None:
        """Verifies the address that a token was sent to, and ends all other registrations with it.

        Raises MailTokenInvalid.
        """

        async def act(tx: IdentityTransaction) -> None:
            now = self._now()
            account = await owner_by_token(tx, mail_token_hash(token), MailPurpose.VERIFY, now, context)
            await tx.accounts.verify(account.id, now)
            await tx.audit.record([context.entry(f"account/{account.id}")])
            await settle_address(tx, account.email or "", now, context)

        await once(self._store, context, DONE, act, None)

    async def reset_password(self, token: str, new_password: str, context: ChangeContext) -> str:
        """Sets a password by a token that was sent, and returns a token of the owner's device.

        Raises MailTokenInvalid, PasswordTooWeak, Overloaded.
        """
        kept = await find_answer(self._store, context, DEVICE)
        return await self._devices.kept_token(kept or await self._decided(token, new_password, context))

    async def _decided(self, token: str, new_password: str, context: ChangeContext) -> KeptDevice:
        await self._throttling.ready()
        found = mail_token_hash(token)
        async with self._store.reading() as reading:
            account_id = await reading.mail_tokens.find_live(found, MailPurpose.RESET, self._now())
            account = await reading.accounts.find(account_id) if account_id else None
        password_hash = None
        if account is not None:
            await self._passwords.refuse_weak(new_password, account.email or "", "new_password")
            password_hash = await self._passwords.hash(new_password)
        now = self._now()

        async def act(tx: IdentityTransaction) -> KeptDevice:
            if password_hash is None:
                raise MailTokenInvalid
            owner = await owner_by_token(tx, found, MailPurpose.RESET, now, context)
            await self._reset(tx, owner, password_hash, now, context)
            return self._devices.made(owner.id, now)

        return await once(self._store, context, DEVICE, act, None)

    async def _reset(
        self, tx: IdentityTransaction, owner: Account, password_hash: str, now: datetime, context: ChangeContext
    ) -> None:
        """Sets the password, and lets the owner in at once from here, however many have failed to before."""
        await tx.accounts.change_password_hash(owner.id, password_hash, now)
        if owner.verify_time is None:
            # Who registered chose the name, and whoever reads the mails of the address may be somebody else.
            await tx.accounts.set_name(owner.id, "")
            await tx.accounts.verify(owner.id, now)
        await tx.mail_tokens.end_live(owner.id)
        await tx.sessions.end_all(owner.id, now)
        await tx.access_changes.add([owner.id], now)
        email = owner.email or ""
        counters = throttling.signing_in(email, context.address)
        await self._throttling.clear(tx, [counter for counter in counters if not counter.shared])
        await tx.audit.record([context.entry(f"account/{owner.id}")])
        await settle_address(tx, email, now, context)

    async def _ask_for_mail(self, occasion: Occasion, email: str, context: ChangeContext) -> None:
        if await find_answer(self._store, context, MAIL_ASKED):
            return
        address = normal_email(email)
        await self._throttling.begin(throttling.asking_for_mail(context.address))

        async def act(tx: IdentityTransaction) -> bool:
            owner, _ = await tx.accounts.find_by_email(address) or (None, None)
            await self._mailing.ask(tx, occasion, address)
            await tx.audit.record([context.entry(f"account/{owner.id}" if owner else "account/")])
            return True

        await once(self._store, context, MAIL_ASKED, act, None)
