from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from server.files.rules import access
from server.files.rules.links import UploadLink
from server.files.service.answers import UPLOAD_LINK
from server.frame.caller import Caller, PermissionsOf
from server.frame.errors import TokenInvalid
from server.frame.repeating import once
from storage.files.store import FilesStore, FilesTransaction
from storage.frame.records import ChangeContext


async def account_behind(permissions_of: PermissionsOf, account_id: UUID) -> Caller:
    """Whose rights a link lends, as they are now; raises TokenInvalid where that account may use files no longer."""
    permissions = await permissions_of(account_id)
    if permissions is None or access.UPLOAD not in permissions:
        raise TokenInvalid
    return Caller(account_id, permissions)


class UploadLinks:
    """Lets others upload for an account, by its rights as they are then."""

    def __init__(self, store: FilesStore, permissions_of: PermissionsOf, now: Callable[[], datetime]) -> None:
        self._store = store
        self._permissions_of = permissions_of
        self._now = now

    async def make(self, caller: Caller, largest_bytes: int, minutes: int, context: ChangeContext) -> UploadLink:
        async def act(_tx: FilesTransaction) -> UploadLink:
            until = int((self._now() + timedelta(minutes=minutes)).timestamp())
            return UploadLink(caller.account_id, largest_bytes, until)

        return await once(self._store, context, UPLOAD_LINK, act, f"upload_link/{caller.account_id}")

    async def lender(self, account_id: UUID) -> Caller:
        """The account that a link is of; raises TokenInvalid where that may upload no longer."""
        account = await account_behind(self._permissions_of, account_id)
        # Nothing but to upload: what else the account may do is not lent.
        return Caller(account_id, account.permissions & {access.UPLOAD, "files.large_quota"})
