from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.sql.selectable import TableValuedAlias

from storage.base import Reader, Records, Repository, insert_json, json_parameter, json_rows, values_getter
from storage.durability import COMMITS_WAIT, WAIT_FOR_STANDBY
from storage.frame.records import Claim, EarlierRequest, RequestKey
from storage.frame.tables import request_ids

Scope = tuple[UUID, UUID]

_CLAIM = ("caller_id", "request_id", "digest", "answer")
_VALUES = values_getter(_CLAIM, caller_id="key.caller_id", request_id="key.request_id", digest="key.digest")
_EARLIER = Records(EarlierRequest)
_SCOPE = ("caller_id", "request_id")
_ANSWER = ("caller_id", "request_id", "answer")

_KEY = (request_ids.c.caller_id, request_ids.c.request_id)
_TAKE = insert_json(request_ids, *_CLAIM).on_conflict_do_nothing().returning(*_KEY)


def _mine(rows: TableValuedAlias) -> ColumnElement[bool]:
    return (request_ids.c.caller_id == rows.c.caller_id) & (request_ids.c.request_id == rows.c.request_id)


_ANSWERS, _SCOPES = json_rows(request_ids, *_ANSWER), json_rows(request_ids, *_SCOPE)
_REMEMBER = update(request_ids).where(_mine(_ANSWERS)).values(answer=_ANSWERS.c.answer)
_RELEASE = delete(request_ids).where(_mine(_SCOPES))
_FIND = select(request_ids, WAIT_FOR_STANDBY).where(_mine(_SCOPES))
_LOOK = select(request_ids, COMMITS_WAIT.label("commits_wait")).where(_mine(_SCOPES))


class RequestReader(Reader):
    """Which requests came before, and what they were answered."""

    async def find(self, scope: Scope) -> EarlierRequest | None:
        """A request that came before, and was answered; it waits for nobody, and says whether that is to be done."""
        return _EARLIER.first(await self._connection.execute(_LOOK, json_parameter(_SCOPE, [scope])))


class RequestRepository(RequestReader, Repository):
    """Which requests came before.

    A claim that another transaction is making waits for its end: if that commits, its answer is found, and if it
    rolls back, the claim is free. Claims are taken in key order, so that two batches never wait for one another.
    """

    async def claim(self, claims: Sequence[Claim]) -> Mapping[Scope, EarlierRequest]:
        """Claims the requests that are new, and returns the others as they first came; keys must differ.

        Where there are others, this transaction ends once a synchronous standby, if there is one, has them.
        """
        if not claims:
            return {}
        ordered = sorted(claims, key=_place)
        values = json_parameter(_CLAIM, map(_VALUES, ordered))
        claimed = {tuple(row) for row in await self._connection.execute(_TAKE, values)}
        others = [claim.key.scope for claim in ordered if claim.key.scope not in claimed]
        if not others:
            return {}
        found = (await self._connection.execute(_FIND, json_parameter(_SCOPE, others))).all()
        earlier = _EARLIER.all(found, commits_wait=lambda _: False)
        return {(row.caller_id, row.request_id): each for row, each in zip(found, earlier, strict=True)}

    async def remember(self, answers: Mapping[RequestKey, str]) -> None:
        """Keeps the answers of requests that were claimed in this transaction."""
        if not answers:
            return
        values = json_parameter(_ANSWER, ((*key.scope, answer) for key, answer in answers.items()))
        await self._connection.execute(_REMEMBER, values)

    async def release(self, scopes: Sequence[Scope]) -> None:
        """Forgets requests that were claimed in this transaction and refused, so that they may be tried again."""
        if not scopes:
            return
        await self._connection.execute(_RELEASE, json_parameter(_SCOPE, scopes))

    async def purge(self, before: datetime, limit: int) -> int:
        """Forgets up to so many requests that came before a time, and returns how many that were."""
        return await self._delete_before(request_ids.c.create_time, before, limit)


def _place(claim: Claim) -> tuple[int, int]:
    """The key's order as PostgreSQL has it; numbers compare many times as fast as UUIDs do."""
    return (claim.key.caller_id.int, claim.key.request_id.int)
