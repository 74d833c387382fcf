"""What must hold of all that is stored, whatever happened: written in SQL over the tables, independent of what writes
them.

Each module's laws are in its `laws.py`; `storage.schema` gathers them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from storage.base import Reader

_MAX_NAMED = 20


@dataclass(frozen=True, slots=True)
class Law:
    """One law, and the two queries that check it: of how many things it speaks, and which of them break it."""

    id: str
    text: str
    counted: str
    broken: str
    apart: str = ""
    """Whose own database has what it speaks of, as `StoreKind.apart` names it; empty for the main one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of a law."""

    id: str
    law: str
    checked: int
    """Of how many things it speaks."""
    violations: int
    violating: Sequence[str]
    """The first of those that break it."""


class LawReader(Reader):
    """Checks laws in one snapshot; to be run in a transaction of its own."""

    async def check(self, laws: Sequence[Law]) -> Sequence[Finding]:
        await self._connection.execute(text("SET LOCAL statement_timeout = 0"))
        return [await self._check(law) for law in laws]

    async def _check(self, law: Law) -> Finding:
        checked = (await self._connection.execute(text(law.counted))).scalar_one()
        broken = [str(name) for name in (await self._connection.execute(text(law.broken))).scalars()]
        return Finding(law.id, law.text, int(checked), len(broken), broken[:_MAX_NAMED])
