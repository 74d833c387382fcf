from collections.abc import AsyncIterator, Callable
from datetime import datetime
from uuid import UUID

import orjson

from server.frame.caller import Caller
from server.frame.personal_data import Parts
from server.frame.repeating import once
from server.identity.errors import AccountNotFound
from server.identity.rules.roles import BuiltInRoles
from server.identity.service.account_rights import account_for
from server.identity.service.answers import EXPORT_TIME
from server.identity.service.granting import require_permissions_of
from server.identity.service.refusal_audit import RefusalAudit
from storage.frame.records import ChangeContext
from storage.identity.store import IdentityStore, IdentityTransaction

EXPORT = "accounts.export"
FORMAT_VERSION = 1

_CHUNK_BYTES = 64 * 1024


class Exporting:
    """How a person gets all that is stored of it."""

    def __init__(
        self,
        store: IdentityStore,
        built_in: BuiltInRoles,
        refusal_audit: RefusalAudit,
        parts: Parts,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._built_in = built_in
        self._refusal_audit = refusal_audit
        self._parts = parts
        self._now = now

    async def export(self, caller: Caller, account_id: UUID | None, context: ChangeContext) -> AsyncIterator[str]:
        """JSON Lines, some whole lines at a time; no connection is held while they are sent.

        Raises AccountNotPermitted, AccountNotFound, PermissionNotHeld, before the first line.
        """
        owner = account_for(caller, account_id, EXPORT, permitted=caller.may("accounts.export"))
        begun = await self._begin(caller, owner, context)
        chunk = _line(kind="export", version=FORMAT_VERSION, account_id=owner, export_time=begun)
        count = 0
        for module, part in self._parts().items():
            async for page in part.export(owner):
                for row in page.rows:
                    chunk += _line(module=module, kind=page.kind, data=row)
                    if len(chunk) >= _CHUNK_BYTES:
                        yield chunk.decode()
                        chunk = b""
                count += len(page.rows)
        yield (chunk + _line(kind="end", count=count)).decode()

    async def _begin(self, caller: Caller, owner: UUID, context: ChangeContext) -> datetime:
        async def act(tx: IdentityTransaction) -> datetime:
            account = await tx.accounts.find(owner)
            if account is None:
                raise AccountNotFound(account_id=str(owner))
            if owner != caller.account_id:
                await require_permissions_of(tx, self._built_in, caller, account)
            return self._now()

        async with self._refusal_audit.recorded(context, f"account/{owner}"):
            return await once(self._store, context, EXPORT_TIME, act, f"account/{owner}")


def _line(**members: object) -> bytes:
    return orjson.dumps(members, str, orjson.OPT_APPEND_NEWLINE)
