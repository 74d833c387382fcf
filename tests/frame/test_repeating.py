"""What makes it safe to repeat a change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backroom.identity.v1 import access_service_pb2, identity_service_pb2
from server.frame.answers import AnswerKind
from server.frame.call import Call
from server.frame.caller import ANONYMOUS, Caller
from server.frame.errors import AnswerFromNewerVersion, Refusal, RequestIdReused, Stopping
from server.frame.repeating import (
    ClassifiedBatch,
    classify_batch,
    find_answer,
    first_answer,
    once,
    once_for_each,
)
from server.frame.wire import digest_of
from storage.database import Database
from storage.frame.records import NOBODY, AuditFilter, ChangeContext, Claim, EarlierRequest, RequestKey
from storage.store import FRAME
from storage.transaction import Transaction
from tests.fixtures.examples import examples

ADA = Caller(UUID(int=1), frozenset())
REQUEST_ID = str(UUID(int=7))
NOW = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)
METHOD = "/backroom.identity.v1.AccessService/GrantRole"
Grant = access_service_pb2.GrantRoleRequest
Revoke = access_service_pb2.RevokeRoleRequest
Register = identity_service_pb2.RegisterRequest


def key(content: bytes = b"content", request_id: int = 7) -> RequestKey:
    return RequestKey(ADA.account_id, UUID(int=request_id), digest_of(Grant(role=content.decode())))


class FakeContext:
    """The parts of gRPC's context that a call is made from."""

    def peer(self) -> str:
        return "ipv4:10.0.0.7:51234"

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("x-request-id", "call-7"),)


def call_by(caller: Caller) -> Call:
    call = Call(FakeContext(), METHOD)  # type: ignore[arg-type] # see above
    call.caller = caller
    return call


def test_a_request_has_its_caller_content_time_and_address() -> None:
    """A stream's is the same as that of its first message."""
    call = call_by(ADA)
    made = call.change_context(Grant(request_id=REQUEST_ID))
    assert made == ChangeContext(ADA.account_id, METHOD.removeprefix("/"), call.time, "10.0.0.7", "call-7", made.key)
    assert call.change_context(Grant(request_id=REQUEST_ID)) == made
    entry = made.entry("account/7")
    assert (entry.caller_id, entry.action, entry.create_time) == (ADA.account_id, made.action, call.time)
    assert (entry.address, entry.call_id, entry.resource, entry.result) == ("10.0.0.7", "call-7", "account/7", "OK")


def test_a_request_is_identified_by_its_caller_its_id_and_its_content() -> None:
    """The key holds all three; of the content only a digest of 32 bytes."""
    request = Grant(request_id=REQUEST_ID, role="staff")
    made = call_by(ADA).change_context(request).key
    assert made == RequestKey(ADA.account_id, UUID(REQUEST_ID), digest_of(request))
    assert made is not None
    assert len(made.digest) == 32
    assert call_by(ANONYMOUS).change_context(request).key == replace(made, caller_id=NOBODY)


def test_a_request_without_an_id_has_no_key() -> None:
    """It is new each time."""
    assert call_by(ADA).change_context(Grant(role="staff")).key is None
    assert call_by(ADA).change_context().key is None
    assert call_by(ADA).change_context(Grant(), Grant(request_id=REQUEST_ID)).key is None


def test_a_stream_is_identified_by_its_first_message_and_all_of_its_content() -> None:
    """The id of the first counts, and a digest over every one of them, in order."""
    first, second = Grant(request_id=REQUEST_ID, role="a"), Grant(role="b")
    made = call_by(ADA).change_context(first, second).key
    assert made == RequestKey(ADA.account_id, UUID(REQUEST_ID), digest_of(first, second))
    assert digest_of(first, second) != digest_of(second, first)
    assert digest_of(first) != digest_of(first, Grant())


def test_ids_are_compared_as_uuids() -> None:
    """However a UUID is written, it is the same id."""
    one, other = (
        call_by(ADA).change_context(Grant(request_id=written)).key
        for written in (str(UUID(int=0xABC)), f"{0xABC:032X}")
    )
    assert one is not None
    assert other is not None
    assert one.scope == other.scope


def test_messages_of_two_types_never_share_a_digest() -> None:
    """Even if their bytes are the same."""
    one, other = Grant(request_id=REQUEST_ID, role="staff"), Revoke(request_id=REQUEST_ID, role="staff")
    assert one.SerializeToString() == other.SerializeToString()
    assert digest_of(one) != digest_of(other)


texts = st.text(st.characters(codec="utf-8"), max_size=6)
registers = st.builds(Register, email=texts, password=texts, display_name=texts)


@examples(150)
@given(st.lists(registers, max_size=3), st.lists(registers, max_size=3))
def test_a_digest_distinguishes_contents(some: list[Register], others: list[Register]) -> None:
    """Equal contents have equal digests, and no others do, wherever one message ends and the next begins."""
    assert (digest_of(*some) == digest_of(*others)) == (some == others)


@examples(100)
@given(registers, st.binary(min_size=1, max_size=32), st.binary(min_size=1, max_size=32))
def test_a_secret_changes_the_digest(message: Register, one: bytes, other: bytes) -> None:
    """Without the secret, the digest cannot be computed from a guessed password."""
    assert digest_of(message, secret=one) != digest_of(message)
    padded = (one.ljust(64, b"\0"), other.ljust(64, b"\0"))  # a key is padded with zeros
    assert (digest_of(message, secret=one) == digest_of(message, secret=other)) == (padded[0] == padded[1])


WORD = AnswerKind("test.word", str)


def test_the_first_answer_is_only_for_the_same_content() -> None:
    """Other content, or an answer that was never stored, means that the id was used for something else."""
    kept = EarlierRequest(key().digest, "answer")
    assert first_answer(kept, key()) == "answer"
    for earlier in (replace(kept, digest=b"other"), replace(kept, answer=None)):
        with pytest.raises(RequestIdReused):
            first_answer(earlier, key())


class Deed:
    """A change that is to happen once; counts how often it did."""

    def __init__(self, *answers: str | Refusal) -> None:
        self._answers = list(answers)
        self.times = 0

    async def __call__(self, _: Transaction) -> str:
        self.times += 1
        answer = self._answers.pop(0)
        if isinstance(answer, Refusal):
            raise answer
        return answer


async def done(database: Database, request_key: RequestKey | None, deed: Deed) -> str:
    asked = ChangeContext(ADA.account_id, "test", NOW, key=request_key)
    return await once(database.store(FRAME), asked, WORD, deed, lambda answer: f"deed/{answer}")


async def recorded(database: Database) -> list[str]:
    """The resources of all audit entries, the latest first."""
    async with database.store(FRAME).reading() as tx:
        return [event.entry.resource for event in await tx.audit.list_latest(AuditFilter(), before=None, limit=100)]


async def test_a_repeated_request_gets_the_first_answer_without_acting(database: Database) -> None:
    """The change is made once, whatever it would answer now."""
    deed = Deed("first", "second")
    assert [await done(database, key(), deed) for _ in range(3)] == ["first"] * 3
    assert deed.times == 1
    assert await recorded(database) == ["deed/first"]


async def test_a_request_without_a_key_is_done_each_time(database: Database) -> None:
    """Nothing of it is stored, and each time is recorded."""
    deed = Deed("first", "second")
    assert [await done(database, None, deed) for _ in range(2)] == ["first", "second"]
    assert await recorded(database) == ["deed/second", "deed/first"]


async def test_other_content_under_the_same_id_is_refused_and_not_done(database: Database) -> None:
    """The first answer remains."""
    deed = Deed("first", "second")
    await done(database, key(), deed)
    with pytest.raises(RequestIdReused):
        await done(database, key(b"other"), deed)
    assert await done(database, key(), deed) == "first"
    assert deed.times == 1


async def test_the_id_of_one_caller_is_not_that_of_another(database: Database) -> None:
    """Two callers may choose the same id."""
    deed = Deed("Ada's", "Bob's")
    assert await done(database, key(), deed) == "Ada's"
    assert await done(database, replace(key(), caller_id=uuid4()), deed) == "Bob's"


async def test_a_refusal_is_not_stored(database: Database) -> None:
    """The same id may be tried again, even with other content."""
    deed = Deed(Stopping(), "second")
    with pytest.raises(Stopping):
        await done(database, key(), deed)
    assert await done(database, key(b"other"), deed) == "second"
    assert await recorded(database) == ["deed/second"]


async def test_a_change_made_by_a_newer_version_is_not_repeated(database: Database) -> None:
    """Whether the answer is looked up first, or claimed."""
    deed = Deed("first", "second")
    await done(database, key(), deed)
    async with database.store(FRAME).transaction() as tx:
        await tx.requests.remember({key(): "test.word/2 {}"})
    with pytest.raises(AnswerFromNewerVersion):
        await done(database, key(), deed)
    with pytest.raises(AnswerFromNewerVersion):
        await find_answer(database.store(FRAME), ChangeContext(ADA.account_id, "test", NOW, key=key()), WORD)
    assert deed.times == 1


@dataclass(frozen=True, slots=True)
class Wish:
    """One request of a batch."""

    context: ChangeContext
    answer: str | Refusal


def wish(request_key: RequestKey | None, answer: str | Refusal) -> Wish:
    return Wish(ChangeContext(ADA.account_id, "test", NOW, key=request_key), answer)


async def granted(database: Database, *wishes: Wish) -> list[str]:
    """The answer to each request of a batch, or its refusal."""

    async def act(_: Transaction, new: Sequence[Wish]) -> Sequence[str | Refusal]:
        return [each.answer for each in new]

    answers = await once_for_each(database.store(FRAME), wishes, WORD, act, lambda answer: f"deed/{answer}")
    return [each.reason if isinstance(each, Refusal) else each for each in answers]


async def test_each_request_of_a_batch_is_done_once(database: Database) -> None:
    """A refusal is neither recorded nor stored, and requests without an id are done each time."""
    batch = [wish(key(request_id=1), "one"), wish(None, "two"), wish(key(request_id=3), Stopping())]
    assert await granted(database, *batch) == ["one", "two", "STOPPING"]
    again = [wish(key(request_id=1), "other"), wish(None, "two"), wish(key(request_id=3), "three")]
    assert await granted(database, *again) == ["one", "two", "three"]
    assert await recorded(database) == ["deed/three", "deed/two", "deed/two", "deed/one"]


async def test_a_request_of_a_batch_that_a_newer_version_did_is_refused_alone(database: Database) -> None:
    """The others are answered."""
    await granted(database, wish(key(request_id=1), "one"))
    async with database.store(FRAME).transaction() as tx:
        await tx.requests.remember({key(request_id=1): "test.word/2 {}"})
    batch = [wish(key(request_id=1), "one"), wish(key(request_id=2), "two")]
    assert await granted(database, *batch) == ["ANSWER_FROM_NEWER_VERSION", "two"]


async def classified(database: Database, *keys: RequestKey | None) -> tuple[object, ...]:
    """The classification of a batch of requests, whose new ones are then answered by their positions."""
    async with database.store(FRAME).transaction() as tx:
        found = await classify_batch(tx, WORD, [ChangeContext(ADA.account_id, "test", NOW, key=each) for each in keys])
        answers = {each: WORD.encoded(str(place)) for place in found.new if (each := keys[place])}
        await tx.requests.remember(answers)
    reused = [place for place, refusal in found.refused.items() if isinstance(refusal, RequestIdReused)]
    return found.new, found.kept, reused, found.duplicates


async def test_new_requests_are_new_and_are_kept_when_repeated(database: Database) -> None:
    """Those without an id are always new."""
    keys = [key(request_id=1), None, key(request_id=2), None]
    assert await classified(database, *keys) == ([0, 1, 2, 3], {}, [], {})
    assert await classified(database, *keys) == ([1, 3], {0: "0", 2: "2"}, [], {})


async def test_other_content_under_a_used_id_is_reused(database: Database) -> None:
    """Whether the first came in an earlier batch or in this one."""
    await classified(database, key())
    assert await classified(database, key(b"other"), key()) == ([], {1: "0"}, [0], {})
    assert await classified(database, key(b"a", 9), key(b"b", 9), key(b"b", 9)) == ([0], {}, [1, 2], {})


async def test_equal_requests_of_one_batch_follow_the_first(database: Database) -> None:
    """They share its answer; copies of requests from earlier batches are all answered from storage."""
    assert await classified(database, key(), None, key(), key()) == ([0, 1], {}, [], {2: 0, 3: 0})
    assert await classified(database, key(), key()) == ([], {0: "0", 1: "0"}, [], {})


async def test_answers_known_beforehand_are_stored_with_the_claim(database: Database) -> None:
    """No second statement is needed."""
    async with database.store(FRAME).transaction() as tx:
        asks = [ChangeContext(ADA.account_id, "test", NOW, key=each) for each in (None, key())]
        await classify_batch(tx, WORD, asks, ["zero", "one"])
    assert await classified(database, key()) == ([], {0: "one"}, [], {})


async def test_an_empty_batch_is_classified_as_nothing(database: Database) -> None:
    """No request, no claim."""
    assert await classified(database) == ([], {}, [], {})


def test_a_batch_is_answered_in_its_own_order() -> None:
    """New, kept, reused and following requests each get their own result, refusals too."""
    refused = Stopping()
    found = ClassifiedBatch(new=[1, 4], kept={0: "…"}, refused={2: RequestIdReused()}, duplicates={3: 1, 5: 4})
    answers = found.answers(["one", refused], {0: "zero"})
    assert answers[:2] == ["zero", "one"]
    assert isinstance(answers[2], RequestIdReused)
    assert answers[3:] == ["one", refused, refused]


@examples(60)
@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()) | st.none(), max_size=10), st.sets(st.integers(1, 3)))
async def test_every_request_of_a_batch_is_classified_exactly_once(
    asks: list[tuple[int, bool] | None], before: set[int]
) -> None:
    """By the rule: without an id new; first with its id new; equal to the first; or else reused."""
    keys = [each and key(b"other" if each[1] else b"content", each[0]) for each in asks]
    wanted = [ChangeContext(ADA.account_id, "test", NOW, key=each) for each in keys]
    known = _Store({key(request_id=each) for each in before})
    found = await classify_batch(known, WORD, wanted)  # type: ignore[arg-type] # see _Store
    fates = [*found.new, *found.kept, *found.refused, *found.duplicates]
    assert sorted(fates) == list(range(len(asks)))
    for place, follows in found.duplicates.items():
        assert follows in found.new
        assert keys[place] == keys[follows]
    claimed = [each.scope for place in found.new if (each := keys[place])]
    assert len(set(claimed)) == len(claimed)
    assert found.new == sorted(found.new)


class _Store:
    """The parts of a transaction that classification needs; the tests above use the real one."""

    def __init__(self, known: set[RequestKey]) -> None:
        self.requests = self
        self._known = {each.scope: EarlierRequest(each.digest, WORD.encoded("kept")) for each in known}

    async def claim(self, claims: list[Claim]) -> dict[tuple[UUID, UUID], EarlierRequest]:
        scopes = [claim.key.scope for claim in claims]
        assert len(set(scopes)) == len(scopes)
        return {scope: self._known[scope] for scope in scopes if scope in self._known}
