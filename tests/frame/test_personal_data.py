"""Rules over rows and copies: what is erased, handed over, or left alone."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from server.frame.personal_data import DeclaredPersonalData, Erasure
from storage.database import Database
from storage.frame.records import AccountDeletion
from storage.personal_data import JsonOwner, OwnedRows, PersonalDataRules
from storage.store import FRAME
from storage.webhooks.tables import endpoints
from tests.identity.people import execute, kept

ADA, BOB = UUID(int=1), UUID(int=2)
OWNERS = (JsonOwner("customer_id", frozenset({"note"})), JsonOwner("placed_by", frozenset({"reference"})))
HANDED_OVER = OwnedRows(
    kind="endpoint",
    table=endpoints,
    owned=lambda person: endpoints.c.created_by == person.id,
    exported=("id", "description"),
    deleted=True,
    transfer="created_by",
)


def part(database: Database, *rows: OwnedRows) -> DeclaredPersonalData:
    return DeclaredPersonalData(database.store(FRAME), PersonalDataRules(rows=rows))


async def owning(database: Database, *owners: UUID, count: int = 1) -> None:
    """So many rows of each."""
    for owner in owners:
        await execute(
            database,
            "INSERT INTO webhooks.endpoints (id, url, description, event_types, state, disabled_reason, version,"
            " create_time, update_time, created_by)"
            " SELECT gen_random_uuid(), '', '', '{}', 'enabled', '', 1, now(), now(), :owner"
            " FROM generate_series(1, :count)",
            owner=owner,
            count=count,
        )


async def owners_of(database: Database) -> list[str]:
    rows = (await kept(database, "webhooks.endpoints")).splitlines()
    return sorted(json.loads(row)["created_by"] for row in rows)


async def test_rows_are_erased_in_batches_and_others_stay(database: Database) -> None:
    """More than one transaction takes; again, there is nothing left to erase."""
    await owning(database, ADA, count=1200)
    await owning(database, BOB)
    for _ in range(2):
        await part(database, HANDED_OVER).erase(Erasure(ADA))
        assert await owners_of(database) == [str(BOB)]


async def test_rows_are_exported_in_pages(database: Database) -> None:
    """Each once, with the columns that are named."""
    await owning(database, ADA, count=1200)
    await owning(database, BOB)
    pages = [page async for page in part(database, HANDED_OVER).export(ADA)]
    rows = [row for page in pages for row in page.rows]
    assert len(pages) > 1
    assert max(len(page.rows) for page in pages) <= 500
    assert len({row["id"] for row in rows}) == len(rows) == 1200
    assert {*rows[0]} == {"id", "description"}


async def test_rows_are_handed_over_where_there_is_a_successor(database: Database) -> None:
    """And those that belong to them stay as they are."""
    await owning(database, ADA, count=600)
    belonging = OwnedRows(kind="part", table=endpoints, owned=HANDED_OVER.owned, deleted=True, transfer="")
    await part(database, belonging, HANDED_OVER).erase(Erasure(ADA, transfer_to=BOB))
    assert await owners_of(database) == [str(BOB)] * 600


async def test_rows_are_not_handed_over_to_an_account_that_was_deleted(database: Database) -> None:
    """Whose own may have been erased already: they go."""
    await owning(database, ADA)
    async with database.store(FRAME).transaction() as tx:
        await tx.account_deletions.add(AccountDeletion(BOB, BOB, None, (), datetime.now(UTC)))
    await part(database, HANDED_OVER).erase(Erasure(ADA, transfer_to=BOB))
    assert await owners_of(database) == []


def test_copies_lose_the_persons_texts_and_nothing_else() -> None:
    """In the object that names the person and within it; of another's object, nothing."""
    mine: dict[str, Any] = {"customer_id": str(ADA), "note": "call me", "placed_by": str(BOB), "reference": "R-1"}
    mine |= {"lines": [{"note": "gift", "sku": "TEA"}], "total": 1.5}
    document: list[Any] = [mine, {"customer_id": str(BOB), "note": "theirs"}]
    cleared = Erasure(ADA, owners=OWNERS).redacted("commerce.order/1 " + json.dumps(document))
    mark, space, text = cleared.partition(" ")
    assert (mark, space) == ("commerce.order/1", " ")
    left = {**mine, "note": "", "lines": [{"note": "", "sku": "TEA"}]}
    assert json.loads(text) == [left, {"customer_id": str(BOB), "note": "theirs"}]


def test_copies_without_the_person_stay_as_they_were_written() -> None:
    """To the byte: a delivery is signed as it is stored."""
    for text in ('{"a":  1.50, "customer_id": "x"}', '"0198c2d8-9a31-7cc0-a5a5-0b8a3f0c1a11"', "", "frame.done/1 null"):
        assert Erasure(ADA, owners=OWNERS).redacted(text) == text


async def test_only_ids_of_deleted_accounts_are_found(database: Database) -> None:
    """Whatever else a customer's number may be."""
    async with database.store(FRAME).transaction() as tx:
        await tx.account_deletions.add(AccountDeletion(ADA, ADA, None, (), datetime.now(UTC)))
        asked: list[UUID | str] = [str(ADA), BOB, "customer 7", str(ADA).upper() + "x", "", str(uuid4())]
        assert await tx.account_deletions.deleted_among(asked) == {str(ADA)}
        assert await tx.account_deletions.deleted_among([]) == frozenset()
