"""What the store guarantees for repeated requests, against the real database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from storage.database import Database
from storage.frame.records import Claim, EarlierRequest, RequestKey
from storage.store import FRAME
from storage.transaction import Transaction
from tests.storage.waiting import waits

ADA = UUID(int=1)


def key(request_id: int = 1, digest: bytes = b"digest", caller_id: UUID = ADA) -> RequestKey:
    return RequestKey(caller_id, UUID(int=request_id), digest)


class TurnedBackError(Exception):
    """Makes a transaction roll back."""


@asynccontextmanager
async def turned_back(database: Database) -> AsyncIterator[Transaction]:
    """A transaction that is rolled back at the end of the block."""
    with suppress(TurnedBackError):
        async with database.store(FRAME).transaction() as tx:
            yield tx
            raise TurnedBackError


async def claimed(database: Database, *claims: Claim) -> dict[tuple[UUID, UUID], EarlierRequest]:
    """The earlier requests found for these claims, in a separate transaction that commits."""
    async with database.store(FRAME).transaction() as tx:
        return dict(await tx.requests.claim(claims))


async def test_a_new_request_finds_no_earlier_one(database: Database) -> None:
    """The second time it finds itself, with the stored answer."""
    async with database.store(FRAME).transaction() as tx:
        assert await tx.requests.claim([Claim(key())]) == {}
        await tx.requests.remember({key(): "answer"})
    assert await claimed(database, Claim(key())) == {key().scope: EarlierRequest(b"digest", "answer")}


async def test_an_answer_known_beforehand_is_stored_with_the_claim(database: Database) -> None:
    """It needs no second statement."""
    assert await claimed(database, Claim(key(), "answer")) == {}
    assert await claimed(database, Claim(key(), "another")) == {key().scope: EarlierRequest(b"digest", "answer")}


async def test_a_request_is_found_with_its_first_content(database: Database) -> None:
    """The caller decides whether the content is the same."""
    await claimed(database, Claim(key(), "answer"))
    other = key(digest=b"other")
    assert await claimed(database, Claim(other, "another")) == {key().scope: EarlierRequest(b"digest", "answer")}


async def test_a_batch_claims_new_requests_and_finds_the_others(database: Database) -> None:
    """Callers with the same id do not conflict."""
    await claimed(database, Claim(key(1), "one"), Claim(key(2), "two"))
    bobs = key(1, caller_id=uuid4())
    found = await claimed(database, Claim(key(3), "three"), Claim(key(2)), Claim(bobs, "Bob's"), Claim(key(1)))
    assert found == {key(1).scope: EarlierRequest(b"digest", "one"), key(2).scope: EarlierRequest(b"digest", "two")}
    again = await claimed(database, Claim(key(3)), Claim(bobs))
    assert {scope: earlier.answer for scope, earlier in again.items()} == {key(3).scope: "three", bobs.scope: "Bob's"}


async def test_empty_claims_stores_and_releases_change_nothing(database: Database) -> None:
    """As for an empty batch."""
    async with database.store(FRAME).transaction() as tx:
        assert await tx.requests.claim([]) == {}
        await tx.requests.remember({})
        await tx.requests.release([])


async def test_a_claim_that_is_rolled_back_is_free(database: Database) -> None:
    """A refusal is not stored."""
    async with turned_back(database) as tx:
        await tx.requests.claim([Claim(key(), "answer")])
    assert await claimed(database, Claim(key(digest=b"other"))) == {}


async def test_a_released_claim_is_free_and_the_others_stay(database: Database) -> None:
    """Refused requests of a batch may be tried again."""
    async with database.store(FRAME).transaction() as tx:
        await tx.requests.claim([Claim(key(1), "one"), Claim(key(2), "two"), Claim(key(3), "three")])
        await tx.requests.release([key(1).scope, key(3).scope, key(9).scope])
    found = await claimed(database, Claim(key(1)), Claim(key(2)), Claim(key(3)))
    assert found == {key(2).scope: EarlierRequest(b"digest", "two")}


async def test_answers_are_stored_for_their_own_requests(database: Database) -> None:
    """Several in one statement, and none for a request that was never claimed."""
    async with database.store(FRAME).transaction() as tx:
        await tx.requests.claim([Claim(key(1)), Claim(key(2))])
        await tx.requests.remember({key(2): "two", key(1): "one", key(3): "three"})
    found = await claimed(database, Claim(key(1)), Claim(key(2)), Claim(key(3)))
    assert {scope: earlier.answer for scope, earlier in found.items()} == {key(1).scope: "one", key(2).scope: "two"}


async def test_a_second_claim_waits_for_the_first_and_finds_its_answer(database: Database) -> None:
    """Two servers that get the same request at once give the same answer."""
    async with database.store(FRAME).transaction() as tx:
        await tx.requests.claim([Claim(key())])
        second = await waits(database, claimed(database, Claim(key())))
        await tx.requests.remember({key(): "answer"})
    assert await second == {key().scope: EarlierRequest(b"digest", "answer")}


async def test_a_second_claim_is_free_once_the_first_is_rolled_back(database: Database) -> None:
    """It waited, and then it is the first."""
    async with turned_back(database) as tx:
        await tx.requests.claim([Claim(key())])
        second = await waits(database, claimed(database, Claim(key(), "mine")))
    assert await second == {}
    assert await claimed(database, Claim(key())) == {key().scope: EarlierRequest(b"digest", "mine")}


async def test_batches_that_share_claims_wait_and_never_deadlock(database: Database) -> None:
    """In whatever order a batch names them, claims are locked in the order of their keys."""
    numbers = [3, 1, 2]
    async with database.store(FRAME).transaction() as tx:
        await tx.requests.claim([Claim(key(2), "first")])
        one = await waits(database, claimed(database, *(Claim(key(number), "one") for number in numbers)))
        two = await waits(database, claimed(database, *(Claim(key(number), "two") for number in reversed(numbers))))
    assert {earlier.answer for earlier in (await one).values()} == {"first"}
    assert {earlier.answer for earlier in (await two).values()} == {"first", "one"}


async def test_old_requests_are_purged(database: Database) -> None:
    """Only those from before the given time; their number is returned."""
    await claimed(database, Claim(key(1), "one"), Claim(key(2), "two"))
    now = datetime.now(UTC)
    async with database.store(FRAME).transaction() as tx:
        assert await tx.requests.purge(now - timedelta(days=30), 10) == 0
    assert len(await claimed(database, Claim(key(1)), Claim(key(2)))) == 2
    async with database.store(FRAME).transaction() as tx:
        purged = [await tx.requests.purge(now + timedelta(days=30), limit=1) for _ in range(3)]
    assert purged == [1, 1, 0]
    assert await claimed(database, Claim(key(1)), Claim(key(2))) == {}
