"""Making it safe to repeat a change: the same caller, request_id and content get the first answer (AIP-155)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from server.frame.answers import AnswerKind
from server.frame.errors import Refusal, RequestIdReused
from storage.frame.records import ChangeContext, Claim, EarlierRequest, RequestKey
from storage.store import FrameStore, Store
from storage.transaction import Transaction


class BatchedChange(Protocol):
    """One request of a batch, with its context."""

    @property
    def context(self) -> ChangeContext: ...


Answer = TypeVar("Answer")
Shown = TypeVar("Shown")
Each = TypeVar("Each", bound=BatchedChange)
Work = TypeVar("Work", bound=Transaction)


async def once(
    store: Store[Any, Work],
    context: ChangeContext,
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
        return await once_in(tx, context, kind, act, resource)


async def once_in(
    tx: Work,
    context: ChangeContext,
    kind: AnswerKind[Answer],
    act: Callable[[Work], Awaitable[Answer]],
    resource: str | Callable[[Answer], str] | None,
) -> Answer:
    """The same in a transaction that is open, for what is read or written there also where a request is repeated."""
    if context.key is not None:
        earlier = (await tx.requests.claim([Claim(context.key)])).get(context.key.scope)
        if earlier is not None:
            return kind.decoded(first_answer(earlier, context.key))
    answer = await act(tx)
    if resource is not None:
        await tx.audit.record([context.entry(resource if isinstance(resource, str) else resource(answer))])
    if context.key is not None:
        await tx.requests.remember({context.key: kind.encoded(answer)})
    return answer


async def find_answer(store: FrameStore, context: ChangeContext, kind: AnswerKind[Answer]) -> Answer | None:
    """The answer that this request had when it came before, for what is counted, or costs much, before it is done.

    None where it is new, or just being answered: `once` decides that. Raises RequestIdReused, AnswerFromNewerVersion.
    """
    if context.key is None:
        return None
    before = store.primaries_seen
    async with store.reading() as reading:
        earlier = await reading.requests.find(context.key.scope)
    if earlier is None:
        return None
    answer = kind.decoded(first_answer(earlier, context.key))
    if earlier.commits_wait:  # as the first answer did
        await store.commit_on_standby(before)
    return answer


async def once_in_parts(
    store: Store[Any, Work],
    context: ChangeContext,
    kind: AnswerKind[Answer],
    work: Callable[[], Awaitable[Answer]],
    resource: str,
) -> Answer:
    """`once` for what takes transactions of its own, many of them, or those of another database.

    The change is recorded before the first of them, so that none of it is ever done without a name beside it. Where it
    is interrupted, no answer is kept: repeated, the request is recorded anew and goes on, so `work` does what is left.
    Raises RequestIdReused, AnswerFromNewerVersion.
    """
    if (earlier := await find_answer(store, context, kind)) is not None:
        return earlier
    async with store.transaction() as tx:
        await tx.audit.record([context.entry(resource)])
    answer = await work()

    async def act(_: Work) -> Answer:
        return answer

    return await once(store, context, kind, act, None)


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
        classified = await classify_batch(tx, kind, [each.context for each in batch])
        new = [batch[place] for place in classified.new]
        decided = await act(tx, new)
        outcomes = [(each.context, answer) for each, answer in zip(new, decided, strict=True)]
        done = [(context, answer) for context, answer in outcomes if not isinstance(answer, Refusal)]
        await tx.audit.record([context.entry(resource(answer)) for context, answer in done])
        await tx.requests.remember({context.key: kind.encoded(answer) for context, answer in done if context.key})
        await tx.requests.release(
            [context.key.scope for context, answer in outcomes if context.key and isinstance(answer, Refusal)]
        )
    return classified.answers(decided, classified.kept)


@dataclass(frozen=True, slots=True)
class ClassifiedBatch(Generic[Answer]):
    """The requests of one batch by their places in it: which are new, and what is to become of the others."""

    new: Sequence[int]
    """Claimed in this transaction, and to be decided."""
    kept: Mapping[int, Answer]
    """Decided before, with the answer that was kept."""
    refused: Mapping[int, Refusal]
    """Their request_id came before with other content, or its answer cannot be read."""
    duplicates: Mapping[int, int]
    """Equal to an earlier request of this batch, and the place of that one, whose answer they share."""

    def answers(self, decided: Sequence[Shown | Refusal], kept: Mapping[int, Shown]) -> list[Shown | Refusal]:
        """All answers in the batch's order, from those of the new requests and the kept ones."""
        found: dict[int, Shown | Refusal] = dict(zip(self.new, decided, strict=True))
        found.update(kept)
        found.update(self.refused)
        found.update((place, found[first]) for place, first in self.duplicates.items())
        return [found[place] for place in range(len(found))]


async def classify_batch(
    tx: Transaction,
    kind: AnswerKind[Answer],
    contexts: Sequence[ChangeContext],
    answers: Sequence[Answer] | None = None,
) -> ClassifiedBatch[Answer]:
    """Claims the new requests of a batch; a request without a request_id is always new.

    With `answers`, those of the new ones are known beforehand, and remembered with the claim.
    """
    first = {context.key.scope: place for place, context in reversed([*enumerate(contexts)]) if context.key}
    known = [kind.encoded(answer) for answer in answers] if answers else [None] * len(contexts)
    earlier = await tx.requests.claim(
        [Claim(key, known[place]) for place in first.values() if (key := contexts[place].key)]
    )
    new: list[int] = []
    kept: dict[int, Answer] = {}
    refused: dict[int, Refusal] = {}
    duplicates: dict[int, int] = {}
    for place, context in enumerate(contexts):
        if context.key is None or (context.key.scope not in earlier and first[context.key.scope] == place):
            new.append(place)
        elif context.key.scope in earlier:
            try:
                kept[place] = kind.decoded(first_answer(earlier[context.key.scope], context.key))
            except Refusal as refusal:
                refused[place] = refusal
        elif contexts[first[context.key.scope]].key == context.key:
            duplicates[place] = first[context.key.scope]
        else:
            refused[place] = RequestIdReused()
    return ClassifiedBatch(new, kept, refused, duplicates)


def first_answer(earlier: EarlierRequest, key: RequestKey) -> str:
    """What the request was answered when it first came; raises RequestIdReused where its content was another."""
    if earlier.digest != key.digest or earlier.answer is None:
        raise RequestIdReused
    return earlier.answer
