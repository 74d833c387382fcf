"""A copy of a database becomes an environment of its own: nothing that began in the other one continues here."""

import asyncio
from datetime import datetime

from server import settings
from server.cli.confirmation import confirm_writing
from server.cli.database_changes import command_context
from server.frame.sealing import MasterKeys
from server.identity.credentials.keys import MasterKeyWrong, completed, new_key, opened_material
from server.process.data_dir.master_key import master_keys, wrong_master_key
from server.process.database import migrated_database
from server.settings import Settings
from storage.database import Database
from storage.identity.records import KeyUse
from storage.identity.store import IdentityTransaction
from storage.store import FRAME, StoreKind
from storage.transaction import Reading
from storage.webhooks.store import WebhooksTransaction


class _AdoptingTransaction(IdentityTransaction, WebhooksTransaction):
    """What ends in all modules ends in one transaction."""


_ADOPTING = StoreKind(Reading, _AdoptingTransaction)
_REASON = "the database became another environment's"


def adopt(*, yes: bool = False) -> None:
    """Makes the database that of BACKROOM_ISSUER; raises Failure where nobody agrees."""
    configured = settings.read()
    asyncio.run(_adopt(configured, master_keys(configured), yes=yes))


async def _adopt(configured: Settings, keys: MasterKeys, *, yes: bool) -> None:
    issuer = configured.issuer
    async with migrated_database(configured, audit_key=keys.audit_key) as database:
        async with database.store(FRAME).reading() as reading:
            kept, servers = await reading.environment.find(), await reading.environment.count_servers()
        if kept == issuer:
            print(f"the database belongs to {issuer} already; nothing was changed")
            return
        _confirm(kept or "nobody", issuer, servers, yes=yes)
        try:
            ended = await _adopted(database, issuer, keys)
        except MasterKeyWrong:
            raise wrong_master_key(configured) from None
    print(f"the database belonged to {kept or 'nobody'}, and belongs to {issuer} now")
    print(f"ended: {ended}")


def _confirm(kept: str, issuer: str, servers: int, *, yes: bool) -> None:
    reasons = ["sessions, API keys, keys that sign, queued jobs, deliveries and mails end, and endpoints are disabled"]
    if servers:
        reasons.append(f"servers or workers have {servers} connections to it: stop them first")
    confirm_writing(f"the database of {kept} becomes that of {issuer}", reasons, yes=yes)


async def _adopted(database: Database, issuer: str, keys: MasterKeys) -> str:
    """Does it in one transaction, and returns what ended, for a person to read."""
    context = command_context("adopt")
    for own in database.apart.values():
        async with own.store(FRAME).transaction() as tx_apart:
            await tx_apart.environment.adopt(issuer, context.time)
    async with database.store(_ADOPTING).transaction() as tx:
        await tx.environment.lift_limits()
        await tx.environment.adopt(issuer, context.time)
        ended = {
            "sessions": await tx.sessions.end_everyones(context.time),
            "API keys": await tx.api_keys.end_everyones(context.time),
            "keys that sign or derive": await _replaced(tx, keys, context.time),
            "queued jobs": await tx.jobs.cancel_all(),
            "mails": await tx.mails.delete_all(),
            "deliveries": await tx.deliveries.give_up_all(_REASON),
            "endpoints": await tx.endpoints.disable_all(_REASON, context.time),
        }
        await tx.mail_tokens.end_everyones()
        # Nobody here is to be sent what happened before.
        await tx.relay.move((await tx.relay.find_end()).snapshot)
        await tx.access_changes.add(None, context.time)
        await tx.audit.record([context.entry(f"environment/{issuer}")])
    return ", ".join(f"{count:,} {what}" for what, count in ended.items())


async def _replaced(tx: IdentityTransaction, keys: MasterKeys, time: datetime) -> int:
    """Revokes the keys and makes new ones, which the other environment does not have; returns how many there were.

    Raises MasterKeyWrong where one of them does not open: a server could not start then.
    """
    kept = await completed(tx, keys, time)
    for key in kept:
        opened_material(key, keys)
    good = [key for key in kept if key.revoke_time is None]
    for key in good:
        await tx.keys.revoke(key.id, time)
    for use in KeyUse:
        await tx.keys.add(new_key(use, keys, time, time))
    return len(good)
