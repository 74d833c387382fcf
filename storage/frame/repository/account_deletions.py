from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert

from storage.base import Reader, Records, Repository, column_names, json_parameter, json_rows, row_maker
from storage.frame.records import AccountDeletion
from storage.frame.tables import account_deletions

_DELETIONS = Records(AccountDeletion, erased_parts=(tuple, "erased_parts"))
_NEW = row_maker(column_names(account_deletions))
_GIVEN = select(json_rows(account_deletions, "account_id").c.account_id)
_AMONG = select(account_deletions.c.account_id).where(account_deletions.c.account_id.in_(_GIVEN))
# xid8 has no number of its own in the driver.
_BEGUN = text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
_ENDED = text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")


class AccountDeletionReader(Reader):
    """Which accounts were deleted, and how far their data is erased."""

    async def find(self, account_id: UUID) -> AccountDeletion | None:
        statement = select(account_deletions).where(account_deletions.c.account_id == account_id)
        return _DELETIONS.first(await self._connection.execute(statement))

    async def deleted_among(self, accounts: Collection[UUID | str]) -> frozenset[str]:
        """Which of these were deleted; what is no account's id is not.

        Whoever adds something for an account asks this in its transaction, once that has locked or written a row: what
        is erased afterwards includes all that was added by a transaction that did not find the account here. A caller
        that adds something for itself need not be asked about: when the erasure begins, its last call has ended.
        """
        ids = {each for each in accounts if isinstance(each, UUID) or _is_id(each)}
        if not ids:
            return frozenset()
        found = await self._connection.execute(_AMONG, json_parameter(("account_id",), ((each,) for each in ids)))
        return frozenset(str(each) for each in found.scalars())

    async def transactions_begun(self) -> int:
        """A number that `transactions_ended` reaches once all transactions have ended that have written until now."""
        return int((await self._connection.execute(_BEGUN)).scalar_one())

    async def transactions_ended(self) -> int:
        return int((await self._connection.execute(_ENDED)).scalar_one())


class AccountDeletionRepository(AccountDeletionReader, Repository):
    """Which accounts were deleted, and how far their data is erased."""

    async def add(self, deletion: AccountDeletion) -> None:
        await self._connection.execute(insert(account_deletions).values(_NEW(deletion)))

    async def mark_erased(self, account_id: UUID, part: str) -> None:
        """That a part is erased; one that was stays in its place."""
        parts, name = account_deletions.c.erased_parts, literal(part, Text)
        new = (account_deletions.c.account_id == account_id) & func.array_position(parts, name).is_(None)
        await self._connection.execute(
            update(account_deletions).where(new).values(erased_parts=func.array_append(parts, name))
        )

    async def complete(self, account_id: UUID, now: datetime) -> bool:
        """That all parts are erased; False where that was known."""
        left = (account_deletions.c.account_id == account_id) & account_deletions.c.complete_time.is_(None)
        result = await self._connection.execute(update(account_deletions).where(left).values(complete_time=now))
        return result.rowcount == 1


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
