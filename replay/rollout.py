"""A flag on its way to people: created, evaluated for each of them, grown, and rolled back."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.struct_pb2 import Struct, Value

from backroom.flags.v1.flag_service_pb2 import (
    CreateFlagRequest,
    GetFlagRequest,
    RollbackFlagRequest,
    SetRolloutRequest,
    TryFlagRequest,
)
from backroom.flags.v1.flags_pb2 import Flag, Rollout, Share
from backroom.identity.v1.access_service_pb2 import ExchangeKeyRequest
from backroom_client import AsyncBackroom, Key, refusal_of, request_id_for
from backroom_client.concurrently import concurrently
from backroom_client.credentials import bearer, token_of
from flagd.evaluation.v2 import evaluation_service_pb2 as flagd
from flagd.evaluation.v2.evaluation_service_pb2_grpc import ServiceStub
from replay.calling import IN_FLIGHT, NOT_HERE, NotShown, ReplayFailed
from replay.plan import SHOP

FLAG_SET_ID, FLAG_KEY = "demo", "express-checkout"
PEOPLE = tuple(f"customer-{number}" for number in range(1, 301))
"""Each by the targetingKey, which decides who somebody is."""
FIRST_PERCENT, GROWN_PERCENT = 10, 50
_SELECTOR = ("flagd-selector", f"flagSetId={FLAG_SET_ID}")
_CHANGE_SECONDS = 10.0
"""How long a client may take to be told of a change."""


@dataclass(frozen=True, slots=True)
class RolledOut:
    """Who had the flag at which time."""

    people: int
    first: frozenset[str]
    """At the first percentage."""
    grown: frozenset[str]
    """At the second one."""
    rolled_back: frozenset[str] | None
    """None where the flag was there from an earlier run: nothing was changed, and `grown` is who would have it."""

    @property
    def complete(self) -> bool:
        """Whether nobody lost the flag as it grew, and the rollback left just those who had it at first."""
        return self.first <= self.grown and self.rolled_back in (None, self.first)


async def roll_out(client: AsyncBackroom, key: Key) -> RolledOut:
    """Takes one flag through its life; where an earlier run did, it changes nothing and tries the growth only.

    `key` is the one that the client signs in with. Raises NotShown, and ReplayFailed where it cannot go on.
    """
    try:
        if await _is_there(client):
            return await _tried(client)
        return await _Rollout(client, await _token(client, key)).run()
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
        text = f"{refusal.reason}: {refusal.message}" if refusal else error.details() or "no answer"
        if error.code() in NOT_HERE:
            raise NotShown(text) from error
        raise ReplayFailed(f"the flag was not rolled out: {error.code().name}: {text}") from error
    except TimeoutError:
        raise ReplayFailed("the flag was not rolled out: its client was told of no change") from None


async def _is_there(client: AsyncBackroom) -> bool:
    try:
        await client.flags.GetFlag(GetFlagRequest(flag_set_id=FLAG_SET_ID, key=FLAG_KEY))
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return False
        raise
    return True


async def _tried(client: AsyncBackroom) -> RolledOut:
    """The growth as a change that is not made."""
    contexts = [_context(person) for person in PEOPLE]
    request = TryFlagRequest(flag_set_id=FLAG_SET_ID, key=FLAG_KEY, rollout=_share(GROWN_PERCENT), contexts=contexts)
    trials = list(zip(PEOPLE, (await client.flags.TryFlag(request)).trials, strict=True))
    return RolledOut(
        people=len(PEOPLE),
        first=frozenset(person for person, trial in trials if trial.current.value.bool_value),
        grown=frozenset(person for person, trial in trials if trial.tried.value.bool_value),
        rolled_back=None,
    )


class _Rollout:
    """The changes, each followed by evaluations as any client of flagd's makes them, once it was told of the change."""

    def __init__(self, client: AsyncBackroom, token: tuple[str, str]) -> None:
        self._client = client
        self._flagd = ServiceStub(client.channel)
        self._metadata = (_SELECTOR, token)

    async def run(self) -> RolledOut:
        told = self._flagd.EventStream(flagd.EventStreamRequest(), metadata=self._metadata)
        try:
            await told.read()  # from here on no change is missed
            await self._create()
            first = await self._evaluated(told)
            named: Any = {"flag_set_id": FLAG_SET_ID, "key": FLAG_KEY}
            await self._client.flags.SetRollout(SetRolloutRequest(rollout=_share(GROWN_PERCENT), **named))
            grown = await self._evaluated(told)
            await self._client.flags.RollbackFlag(RollbackFlagRequest(version=1, **named))
            return RolledOut(len(PEOPLE), first, grown, await self._evaluated(told))
        finally:
            told.cancel()

    async def _create(self) -> None:
        flag = Flag(
            flag_set_id=FLAG_SET_ID,
            key=FLAG_KEY,
            variants={"on": Value(bool_value=True), "off": Value(bool_value=False)},
            default_variant="off",
            targeting=_struct({"fractional": [["on", FIRST_PERCENT], ["off", 100 - FIRST_PERCENT]]}),
            description="Made by backroom demo.",
        )
        request = CreateFlagRequest(request_id=request_id_for(SHOP, "flag", FLAG_SET_ID, FLAG_KEY), flag=flag)
        answer = await self._client.flags.CreateFlag(request)
        if answer.HasField("proposal"):
            raise NotShown(f"changes of flags need approval on this server: {answer.proposal.proposal_id} waits for it")

    async def _evaluated(self, told: Any) -> frozenset[str]:
        """Who has the flag, once the server has told of its change."""
        async with asyncio.timeout(_CHANGE_SECONDS):
            while FLAG_KEY not in _changed_keys(await told.read()):
                pass
        having: set[str] = set()

        async def evaluate(person: str) -> None:
            request = flagd.ResolveBooleanRequest(flag_key=FLAG_KEY, context=_context(person))
            if (await self._flagd.ResolveBoolean(request, metadata=self._metadata)).value:
                having.add(person)

        await concurrently(evaluate, PEOPLE, at_once=IN_FLIGHT)
        return frozenset(having)


async def _token(client: AsyncBackroom, key: Key) -> tuple[str, str]:
    """The header of a client of flagd's, which knows nothing of keys."""
    return bearer(token_of(await client.access.ExchangeKey(ExchangeKeyRequest(key=key.key))))


def _changed_keys(event: Any) -> Sequence[str]:
    """The flags that an event tells of; raises ReplayFailed where it is the end of the events."""
    if event is grpc.aio.EOF:
        raise ReplayFailed("the flag was not rolled out: the server ended its events")
    flags = event.data.fields.get("flags")
    return list(flags.struct_value.fields) if flags is not None else []


def _share(percent: int) -> Rollout:
    return Rollout(shares=[Share(variant="on", percent=percent)])


def _context(person: str) -> Struct:
    return _struct({"targetingKey": person})


def _struct(values: dict[str, Any]) -> Struct:
    made = Struct()
    made.update(values)
    return made
