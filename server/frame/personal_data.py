"""What each module does with the data of one person: hand it out, and erase it or hand it over."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar
from uuid import UUID

from storage.personal_data import JsonOwner, OwnedRows, Person, PersonalDataRules
from storage.store import Store
from storage.transaction import Reading, Transaction

_PAGE_ROWS = 500
_ERASED_ROWS = 500
"""In one transaction: so few that no row is locked for long."""
_COPIES = 2_000
"""Read in one transaction, and rewritten where they name the person."""

AnyReading = TypeVar("AnyReading", bound=Reading)
AnyTransaction = TypeVar("AnyTransaction", bound=Transaction)


@dataclass(frozen=True, slots=True)
class ExportedPage:
    """Some of what a module has of a person."""

    kind: str
    """What each of them is, such as "order"."""
    rows: Sequence[Mapping[str, Any]]
    """Values that JSON has a form for, and UUIDs, times and decimals."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """Whose data is to be erased, and what the person chose."""

    account_id: UUID
    transfer_to: UUID | None = None
    """Who gets what can be handed over; None where that is erased, too."""
    owners: Sequence[JsonOwner] = ()
    """How JSON that copies any module's data names accounts."""

    def redacted(self, text: str) -> str:
        """JSON, or a kept answer with its mark before it, without the person's texts in it."""
        start = min((place for place in (text.find("{"), text.find("[")) if place >= 0), default=len(text))
        mark, document = text[:start], text[start:]
        if not document:
            return text
        known = json.loads(document)
        cleared = self._cleared(known, frozenset())
        return text if cleared == known else mark + json.dumps(cleared, separators=(",", ":"))

    def _cleared(self, value: Any, texts: frozenset[str]) -> Any:
        if isinstance(value, list):
            return [self._cleared(each, texts) for each in value]
        if not isinstance(value, dict):
            return value
        account = str(self.account_id)
        mine = texts.union(*(owner.texts for owner in self.owners if value.get(owner.name) == account))
        return {
            name: "" if name in mine and isinstance(each, str) else self._cleared(each, mine)
            for name, each in value.items()
        }


class PersonalData(Protocol):
    """What a module does with the data of one person; `DeclaredPersonalData` does it by rules."""

    @property
    def owners(self) -> Sequence[JsonOwner]:
        """How the module's answers and events name accounts, wherever they are copied to."""
        ...

    @property
    def copies_events(self) -> bool:
        """Whether it has copies of events, and so is to be erased after the log of events."""
        ...

    def export(self, account_id: UUID) -> AsyncIterator[ExportedPage]:
        """All that is the person's, page by page, so that memory is bounded; never a secret, nor a secret's hash."""
        ...

    async def erase(self, erasure: Erasure) -> None:
        """Erases all that is the person's, in transactions of its own; what is erased already stays so.

        It may be interrupted anywhere, and is then called again.
        """
        ...


Parts = Callable[[], Mapping[str, PersonalData]]
"""All modules' by their names, and the frame's, in the order in which they are erased; made when first asked for."""


class DeclaredPersonalData:
    """Does by rules what a module's data asks for."""

    def __init__(self, store: Store[AnyReading, AnyTransaction], rules: PersonalDataRules) -> None:
        self._store = store
        self._rules = rules

    @property
    def owners(self) -> Sequence[JsonOwner]:
        return self._rules.owners

    @property
    def copies_events(self) -> bool:
        return bool(self._rules.copies)

    async def export(self, account_id: UUID) -> AsyncIterator[ExportedPage]:
        for rows in self._rules.rows:
            more, after = bool(rows.exported), None
            while more:
                async with self._store.reading() as reading:
                    page, after = await reading.personal_data.page(
                        rows, Person(account_id), after=after, limit=_PAGE_ROWS
                    )
                more = after is not None
                yield ExportedPage(rows.kind, page)

    async def erase(self, erasure: Erasure) -> None:
        for rows in self._rules.rows:
            await self._erase_rows(rows, erasure)
        for copies in self._rules.copies:
            after: tuple[Any, ...] | None = None
            more = True
            while more:
                async with self._store.transaction() as tx:
                    after = await tx.personal_data.redact(
                        copies, Person(erasure.account_id), erasure.redacted, after=after, limit=_COPIES
                    )
                more = after is not None

    async def _erase_rows(self, rows: OwnedRows, erasure: Erasure) -> None:
        count = _ERASED_ROWS
        while count == _ERASED_ROWS:
            try:
                count = await self._erase_some(rows, erasure)
            except _SuccessorDeleted:
                erasure, count = replace(erasure, transfer_to=None), _ERASED_ROWS

    async def _erase_some(self, rows: OwnedRows, erasure: Erasure) -> int:
        person, to = Person(erasure.account_id), erasure.transfer_to
        async with self._store.transaction() as tx:
            if to is None or rows.transfer is None:
                return await tx.personal_data.erase(rows, person, _ERASED_ROWS)
            count = await tx.personal_data.transfer(rows, person, to, _ERASED_ROWS)
            if await tx.account_deletions.deleted_among([to]):
                raise _SuccessorDeleted  # whose own data may be erased already
            return count


class _SuccessorDeleted(Exception):
    """Who was to get the rows was deleted meanwhile; they were not handed over."""
