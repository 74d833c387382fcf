"""What makes an answer as durable as the change that it acknowledges, where PostgreSQL has a synchronous standby.

A commit that wrote something waits for that standby by itself. PostgreSQL leaves two gaps. A transaction that wrote
nothing waits for nobody, though it may have found a change that no standby has: its own commit was cut off, by a crash
or by an operator, and the row is there all the same. And a commit whose wait is cancelled is reported as done.
"""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from sqlalchemy import Boolean, ColumnElement, literal_column

Result = TypeVar("Result")

_WAITS = """
    current_setting('synchronous_standby_names') <> '' AND current_setting('synchronous_commit') NOT IN ('local', 'off')
"""
# The message is a few bytes in the log, behind everything that the transaction can have read there. It is written only
# where a commit waits for a standby. On a standby, pg_current_xact_id says that it can write nothing.
_WAIT = f"""
    (SELECT CASE WHEN {_WAITS} THEN pg_logical_emit_message(pg_current_xact_id() IS NOT NULL, 'backroom', '') END)
"""

COMMITS_WAIT: ColumnElement[bool] = literal_column(f"({_WAITS})", Boolean)
"""A column that says whether commits wait for a standby."""
WAIT_FOR_STANDBY: ColumnElement[Any] = literal_column(_WAIT)
"""A column that makes its transaction wait at its end, where it wrote nothing otherwise; once, where there is a row."""


class CommitUnconfirmed(psycopg.OperationalError):
    """A commit is on this server, and perhaps not on the synchronous standby: a promotion may undo it."""


class ConfirmingConnection(psycopg.AsyncConnection[Any]):
    """A connection whose transactions end well only where the synchronous standby has confirmed them, if there is one.

    Where the wait for it is cancelled, PostgreSQL answers that all is well, with a warning. Its text is translated, and
    its SQLSTATE is that of every warning; so any warning that comes with the end of a transaction counts. A repeated
    request clears up what is wrongly taken for unknown. Raises CommitUnconfirmed.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._warnings: list[str] = []
        self.add_notice_handler(_collecting(self._warnings))

    async def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:  # noqa: ASYNC109 - theirs
        self._warnings.clear()
        result = await self._exchanged(gen, interval, timeout)
        if self._warnings and self.pgconn.transaction_status == pq.TransactionStatus.IDLE:
            raise CommitUnconfirmed(f"a commit was not confirmed by the synchronous standby: {self._warnings[0]}")
        return result

    def _exchanged(
        self,
        gen: PQGen[Result],
        interval: float,
        timeout: float | None,
    ) -> Coroutine[Any, Any, Result]:
        return super().wait(gen, interval, timeout)


def _collecting(warnings: list[str]) -> Callable[[psycopg.errors.Diagnostic], None]:
    def collect(notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            warnings.append(notice.message_primary or "a warning without words")

    return collect
