from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import JSONB

from storage.base import (
    Reader,
    Records,
    Repository,
    column_names,
    insert_json,
    json_parameter,
    latest,
    row_maker,
    values_getter,
)
from storage.flags.records import Proposal, ProposalState
from storage.flags.tables import proposals

_COLUMNS = column_names(proposals)
_PROPOSALS = Records(Proposal, state=ProposalState)
_ADD = insert_json(proposals, *_COLUMNS)
_NEW = values_getter(_COLUMNS)
_DECIDED = row_maker(("state", "decided_by", "decision_comment", "decide_time"))


# A change may be an import of megabytes: who looks at proposals need not read it.
_TOLD = select(
    *(column for column in proposals.c if column is not proposals.c.content),
    proposals.c.content.op("-", return_type=JSONB)("change").label("content"),
)


class ProposalReader(Reader):
    """Changes that wait for a second pair of eyes, or waited, each without the `change` in its content."""

    async def find(self, proposal_id: UUID) -> Proposal | None:
        return _PROPOSALS.first(await self._connection.execute(_TOLD.where(proposals.c.id == proposal_id)))

    async def list_latest(
        self, *, state: ProposalState | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Proposal]:
        """Proposals from the latest on, starting below a key of (create_time, id); None means any state."""
        statement = _TOLD
        if state is not None:
            statement = statement.where(proposals.c.state == state)
        statement = latest(statement, proposals, before=before, limit=limit)
        return _PROPOSALS.all(await self._connection.execute(statement))


class ProposalRepository(ProposalReader, Repository):
    """Makes and decides proposals."""

    async def add(self, proposal: Proposal) -> None:
        await self._connection.execute(_ADD, json_parameter(_COLUMNS, [_NEW(proposal)]))

    async def lock(self, proposal_id: UUID) -> Proposal | None:
        """The proposal with its whole content, locked until the transaction ends."""
        statement = select(proposals).where(proposals.c.id == proposal_id).with_for_update(key_share=True)
        return _PROPOSALS.first(await self._connection.execute(statement))

    async def decide(self, decided: Proposal) -> None:
        """Stores the decision on a proposal that was locked in this transaction."""
        statement = update(proposals).where(proposals.c.id == decided.id)
        await self._connection.execute(statement.values(_DECIDED(decided)))
