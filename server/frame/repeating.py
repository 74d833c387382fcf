"""Making it safe to repeat a change: the same caller, request_id and content get the first answer (AIP-155)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from server.frame.answers import AnswerKind
from server.frame.errors import Refusal, RequestIdReused
from storage.frame.records import Ask, Claim, EarlierRequest, RequestKey
from storage.store import FrameStore, Store
from storage.transaction import Transaction


class Asking(Protocol):
    """One of a batch, with that somebody asks for it."""

    @property
    def asked(self) -> Ask: ...


Answer = TypeVar("Answer")
Shown = TypeVar("Shown")
Each = TypeVar("Each", bound=Asking)
Work = TypeVar("Work", bound=Transaction)


async def once(
    store: Store[Any, Work],
    ask: Ask,
    kind: AnswerKind[Answer],
    act: Callable[[Work], Awaitable[Answer]],
    resource: str | Callable[[Answer], str] | None,
) -> Answer:
    """Acts in a transaction of its own, or returns the answer that this request had when it first came.

    The answer is kept, and the change recorded, in the same transaction; a refusal rolls that back and is not
    remembered. `resource` names what was changed, which may depend on the answer; None where `act` records it itself.
    Raises RequestIdReused, AnswerFromNewerVersion.
    """
    async with store.transaction() as tx:
        return await once_in(tx, ask, kind, act, resource)


async def once_in(
    tx: Work,
    ask: Ask,
    kind: AnswerKind[Answer],
    act: Callable[[Work], Awaitable[Answer]],
    resource: str | Callable[[Answer], str] | None,
) -> Answer:
    """The same in a transaction that is open, for what is read or written there also where a request is repeated."""
    if ask.key is not None:
        earlier = (await tx.requests.claim([Claim(ask.key)])).get(ask.key.scope)
        if earlier is not None:
            return kind.decoded(first_answer(earlier, ask.key))
    answer = await act(tx)
    if resource is not None:
        await tx.audit.record([ask.entry(resource if isinstance(resource, str) else resource(answer))])
    if ask.key is not None:
        await tx.requests.remember({ask.key: kind.encoded(answer)})
    return answer


async def repeated(store: FrameStore, ask: Ask, kind: AnswerKind[Answer]) -> Answer | None:
    """The answer that this request had when it came before, for what is counted, or costs much, before it is done.

    None where it is new, or just being answered: `once` decides that. Raises RequestIdReused, AnswerFromNewerVersion.
    """
    if ask.key is None:
        return None
    async with store.reading() as reading:
        earlier = await reading.requests.find(ask.key.scope)
    if earlier is None:
        return None
    answer = kind.decoded(first_answer(earlier, ask.key))
    if earlier.commits_wait:  # as the first answer did
        await store.wait_for_standby()
    return answer


async def once_for_each(
    store: Store[Any, Work],
    batch: Sequence[Each],
    kind: AnswerKind[Answer],
    act: Callable[[Work, Sequence[Each]], Awaitable[Sequence[Answer | Refusal]]],
    resource: Callable[[Answer], str],
) -> Sequence[Answer | Refusal]:
    """`once` for a batch, all in one transaction: `act` decides those that are new, in the order they came.

    What it refuses is neither recorded nor remembered, and rolls nothing back.
    """
    async with store.transaction() as tx:
        sifted = await sift(tx, kind, [each.asked for each in batch])
        fresh = [batch[place] for place in sifted.fresh]
        decided = await act(tx, fresh)
        outcomes = [(each.asked, answer) for each, answer in zip(fresh, decided, strict=True)]
        done = [(ask, answer) for ask, answer in outcomes if not isinstance(answer, Refusal)]
        await tx.audit.record([ask.entry(resource(answer)) for ask, answer in done])
        await tx.requests.remember({ask.key: kind.encoded(answer) for ask, answer in done if ask.key})
        await tx.requests.release(
            [ask.key.scope for ask, answer in outcomes if ask.key and isinstance(answer, Refusal)]
        )
    return sifted.answers(decided, sifted.kept)


@dataclass(frozen=True, slots=True)
class Sifted(Generic[Answer]):
    """The asks of one batch by their places in it: which are new, and what is to become of the others."""

    fresh: Sequence[int]
    """Claimed in this transaction, and to be decided."""
    kept: Mapping[int, Answer]
    """Decided before, with the answer that was kept."""
    refused: Mapping[int, Refusal]
    """Their request_id came before with other content, or its answer cannot be read."""
    followers: Mapping[int, int]
    """Equal to an earlier ask of this batch, and the place of that one, whose answer they share."""

    def answers(self, decided: Sequence[Shown | Refusal], repeated: Mapping[int, Shown]) -> list[Shown | Refusal]:
        """All answers in the batch's order, from those of the fresh asks and of the kept ones."""
        found: dict[int, Shown | Refusal] = dict(zip(self.fresh, decided, strict=True))
        found.update(repeated)
        found.update(self.refused)
        found.update((place, found[first]) for place, first in self.followers.items())
        return [found[place] for place in range(len(found))]


async def sift(
    tx: Transaction, kind: AnswerKind[Answer], asks: Sequence[Ask], answers: Sequence[Answer] | None = None
) -> Sifted[Answer]:
    """Claims the new requests of a batch; an ask without a request_id is always new.

    With `answers`, those of the new ones are known beforehand, and remembered with the claim.
    """
    first = {ask.key.scope: place for place, ask in reversed([*enumerate(asks)]) if ask.key}
    known = [kind.encoded(answer) for answer in answers] if answers else [None] * len(asks)
    earlier = await tx.requests.claim(
        [Claim(key, known[place]) for place in first.values() if (key := asks[place].key)]
    )
    fresh: list[int] = []
    kept: dict[int, Answer] = {}
    refused: dict[int, Refusal] = {}
    followers: dict[int, int] = {}
    for place, ask in enumerate(asks):
        if ask.key is None or (ask.key.scope not in earlier and first[ask.key.scope] == place):
            fresh.append(place)
        elif ask.key.scope in earlier:
            try:
                kept[place] = kind.decoded(first_answer(earlier[ask.key.scope], ask.key))
            except Refusal as refusal:
                refused[place] = refusal
        elif asks[first[ask.key.scope]].key == ask.key:
            followers[place] = first[ask.key.scope]
        else:
            refused[place] = RequestIdReused()
    return Sifted(fresh, kept, refused, followers)


def first_answer(earlier: EarlierRequest, key: RequestKey) -> str:
    """What the request was answered when it first came; raises RequestIdReused where its content was another."""
    if earlier.digest != key.digest or earlier.answer is None:
        raise RequestIdReused
    return earlier.answer
