"""Making it safe to repeat a change: the same caller, request_id and content get the first answer (AIP-155)."""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, cast
from uuid import UUID

from pydantic import TypeAdapter

from server.frame.errors import Refusal, RequestIdReused
from storage.frame.records import Ask, Claim, EarlierRequest, RequestKey
from storage.store import FrameStore
from storage.transaction import Transaction

Answer = TypeVar("Answer")


async def once(
    tx: Transaction,
    ask: Ask,
    kind: type[Answer],
    act: Callable[[], Awaitable[Answer]],
    resource: str | Callable[[Answer], str] | None,
) -> Answer:
    """Acts, or returns the answer that this request had when it first came.

    The answer is kept, and the change recorded, in the same transaction; a refusal rolls that back and is not
    remembered. `resource` names what was changed, which may depend on the answer; None where `act` records it itself.
    """
    if ask.key is not None:
        earlier = (await tx.requests.claim([Claim(ask.key)])).get(ask.key.scope)
        if earlier is not None:
            return decoded(kind, first_answer(earlier, ask.key))
    answer = await act()
    if resource is not None:
        await tx.audit.record([ask.entry(resource if isinstance(resource, str) else resource(answer))])
    if ask.key is not None:
        await tx.requests.remember({ask.key: encoded(kind, answer)})
    return answer


async def repeated(store: FrameStore, ask: Ask, kind: type[Answer]) -> Answer | None:
    """The answer that this request had when it came before, for what is counted, or costs much, before it is done.

    None where it is new, or just being answered: `once` decides that. Raises RequestIdReused.
    """
    if ask.key is None:
        return None
    async with store.reading() as reading:
        earlier = await reading.requests.find(ask.key.scope)
    if earlier is None:
        return None
    answer = decoded(kind, first_answer(earlier, ask.key))
    if earlier.commits_wait:  # as the first answer did
        await store.wait_for_standby()
    return answer


@dataclass(frozen=True, slots=True)
class Sifted:
    """The asks of one batch by their places in it: which are new, and what is to become of the others."""

    fresh: Sequence[int]
    """Claimed in this transaction, and to be decided."""
    kept: Mapping[int, str]
    """Decided before, with the answer that was kept."""
    reused: Sequence[int]
    """Their request_id came before with other content."""
    followers: Mapping[int, int]
    """Equal to an earlier ask of this batch, and the place of that one, whose answer they share."""

    def answers(self, decided: Sequence[Answer | Refusal], repeated: Mapping[int, Answer]) -> list[Answer | Refusal]:
        """All answers in the batch's order, from those of the fresh asks and of the kept ones."""
        found: dict[int, Answer | Refusal] = dict(zip(self.fresh, decided, strict=True))
        found.update(repeated)
        found.update((place, RequestIdReused()) for place in self.reused)
        found.update((place, found[first]) for place, first in self.followers.items())
        return [found[place] for place in range(len(found))]


async def sift(tx: Transaction, claims: Sequence[Claim | None]) -> Sifted:
    """Claims the new requests of a batch; an ask without a request_id is always new."""
    first: dict[tuple[UUID, UUID], int] = {}
    for place, claim in enumerate(claims):
        if claim is not None:
            first.setdefault(claim.key.scope, place)
    earlier = await tx.requests.claim([claim for place in first.values() if (claim := claims[place])])
    fresh: list[int] = []
    kept: dict[int, str] = {}
    reused: list[int] = []
    followers: dict[int, int] = {}
    for place, claim in enumerate(claims):
        if claim is None:
            fresh.append(place)
            continue
        leader = first[claim.key.scope]
        known = earlier.get(claim.key.scope)
        if (known.digest if known else _digest(claims[leader])) != claim.key.digest:
            reused.append(place)
        elif known is not None:
            kept[place] = first_answer(known, claim.key)
        elif leader == place:
            fresh.append(place)
        else:
            followers[place] = leader
    return Sifted(fresh, kept, reused, followers)


def _digest(claim: Claim | None) -> bytes | None:
    return claim.key.digest if claim else None


def first_answer(earlier: EarlierRequest, key: RequestKey) -> str:
    """What the request was answered when it first came; raises RequestIdReused where its content was another."""
    if earlier.digest != key.digest or earlier.answer is None:
        raise RequestIdReused
    return earlier.answer


def encoded(kind: type[Answer], answer: Answer) -> str:
    return _adapter(cast(Hashable, kind)).dump_json(answer).decode()


def decoded(kind: type[Answer], answer: str) -> Answer:
    value: Answer = _adapter(cast(Hashable, kind)).validate_json(answer)
    return value


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(Any, kind))
