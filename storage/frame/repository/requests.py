from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from storage.base import Repository, columns_of, given, some_of
from storage.frame.records import Claim, EarlierRequest, RequestKey
from storage.frame.tables import request_ids

Scope = tuple[UUID, UUID]

_CLAIM = ("caller_id", "request_id", "digest", "answer")
_SCOPE = ("caller_id", "request_id")
_ANSWER = ("caller_id", "request_id", "answer")


class RequestRepository(Repository):
    """Which requests came before.

    A claim that another transaction is making waits for its end: if that commits, its answer is found, and if it
    rolls back, the claim is free. Claims are taken in key order, so that two batches never wait for one another.
    """

    async def claim(self, claims: Sequence[Claim]) -> Mapping[Scope, EarlierRequest]:
        """Claims the requests that are new, and returns the others as they first came; keys must differ."""
        if not claims:
            return {}
        ordered = sorted(claims, key=lambda claim: claim.key.scope)
        rows = given(request_ids, *_CLAIM)
        statement = (
            insert(request_ids)
            .from_select(list(_CLAIM), select(rows))
            .on_conflict_do_nothing()
            .returning(request_ids.c.caller_id, request_ids.c.request_id)
        )
        values = columns_of(_CLAIM, ((*claim.key.scope, claim.key.digest, claim.answer) for claim in ordered))
        claimed = {tuple(row) for row in await self._connection.execute(statement, values)}
        return await self._find([claim.key.scope for claim in ordered if claim.key.scope not in claimed])

    async def find(self, scope: Scope) -> EarlierRequest | None:
        """A request that came before, and was answered."""
        return (await self._find([scope])).get(scope)

    async def remember(self, answers: Mapping[RequestKey, str]) -> None:
        """Keeps the answers of requests that were claimed in this transaction."""
        if not answers:
            return
        rows = given(request_ids, *_ANSWER)
        mine = (request_ids.c.caller_id == rows.c.caller_id) & (request_ids.c.request_id == rows.c.request_id)
        values = columns_of(_ANSWER, ((*key.scope, answer) for key, answer in answers.items()))
        await self._connection.execute(update(request_ids).where(mine).values(answer=rows.c.answer), values)

    async def release(self, scopes: Sequence[Scope]) -> None:
        """Forgets requests that were claimed in this transaction and refused, so that they may be tried again."""
        if not scopes:
            return
        rows = given(request_ids, *_SCOPE)
        mine = (request_ids.c.caller_id == rows.c.caller_id) & (request_ids.c.request_id == rows.c.request_id)
        await self._connection.execute(delete(request_ids).where(mine), columns_of(_SCOPE, scopes))

    async def purge(self, before: datetime, limit: int) -> int:
        """Forgets up to so many requests that came before a time, and returns how many that were."""
        old = request_ids.c.create_time < before
        return (await self._connection.execute(some_of(request_ids, old, limit))).rowcount

    async def _find(self, scopes: Sequence[Scope]) -> Mapping[Scope, EarlierRequest]:
        if not scopes:
            return {}
        key = tuple_(request_ids.c.caller_id, request_ids.c.request_id)
        found = await self._connection.execute(select(request_ids).where(key.in_(scopes)))
        return {(row.caller_id, row.request_id): EarlierRequest(row.digest, row.answer) for row in found}
