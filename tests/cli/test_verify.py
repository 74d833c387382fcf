"""`backroom verify` finds one planted inconsistency of each kind."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from itertools import chain

import psycopg
import pytest
from sqlalchemy import text

from backroom.commerce.v1 import payment_service_pb2
from server.modules import MODULES
from storage.database import Database
from storage.laws import LawReader
from storage.schema import LAWS
from storage.store import FRAME
from tests.commerce.goods import cancelled, placed, stocked
from tests.fixtures.keys import MASTER_KEY
from tests.fixtures.trading import Shop, eventually
from tests.invariants import broken
from tests.process.commands import backroom, backroom_here

UNCHECKED = "ALTER TABLE commerce.{table} DROP CONSTRAINT {constraint}"
NEVER_NEGATIVE = UNCHECKED.format(table="stock", constraint="ck_stock_never_negative")
AMOUNTS = UNCHECKED.format(table="payments", constraint="ck_payments_amounts")
NOBODY = "'00000000-0000-0000-0000-000000000001'"

DAMAGES: Sequence[tuple[str, str, Sequence[str]]] = (
    ("goods from nowhere", "I1", ["UPDATE commerce.stock SET on_hand = on_hand + 1"]),
    ("a balance that moved by itself", "I2", ["UPDATE commerce.stock SET held = held + 1 WHERE on_hand > held"]),
    (
        "a movement out of turn",
        "I2",
        ["UPDATE commerce.stock_movements SET on_hand_after = on_hand_after + 1 WHERE reason = 'held'"],
    ),
    ("less than nothing on the shelf", "I3", [NEVER_NEGATIVE, "UPDATE commerce.stock SET on_hand = -1"]),
    ("a hold that outlives its order", "I4", ["UPDATE commerce.orders SET state = 'expired' WHERE state = 'pending'"]),
    ("a hold past its time", "I4", ["UPDATE commerce.orders SET hold_end_time = now() - interval '6 seconds'"]),
    ("a hold that was sold twice", "I5", ["INSERT INTO commerce.stock_movements {copy} WHERE reason = 'sold'"]),
    (
        "a hold without its order",
        "I5",
        [f"UPDATE commerce.stock_movements SET order_id = {NOBODY} WHERE reason = 'held'"],
    ),
    ("a sale taken back in silence", "I5", ["UPDATE commerce.orders SET state = 'pending' WHERE state = 'paid'"]),
    ("a line lost", "I6", ["DELETE FROM commerce.order_lines WHERE position = 1"]),
    ("a wrong total", "I6", ["UPDATE commerce.orders SET total = total + 0.000000001"]),
    (
        "an order that nobody was told of",
        "I6",
        ["DELETE FROM frame.events WHERE type = 'order.placed' AND sequence > 1"],
    ),
    ("more paid back than taken", "I7", ["UPDATE commerce.refunds SET amount = amount + 100"]),
    ("more taken than secured", "I7", [AMOUNTS, "UPDATE commerce.payments SET captured = authorized + 1"]),
    (
        "an order paid for twice",
        "I7",
        [
            """
            UPDATE commerce.payments SET state = 'captured', authorized = amount, captured = amount,
                order_id = (SELECT id FROM commerce.orders WHERE state = 'paid') WHERE state = 'pending'
            """
        ],
    ),
    ("an order sold for nothing", "I7", ["DELETE FROM commerce.payments WHERE state = 'captured'"]),
    ("a request without its answer", "I8", ["UPDATE frame.request_ids SET answer = NULL"]),
    (
        "two requests for one order",
        "I8",
        ["UPDATE frame.request_ids SET answer = (SELECT id::text FROM commerce.orders WHERE state = 'paid')"],
    ),
    (
        "a request for an order that is not there",
        "I8",
        [
            """
            UPDATE frame.request_ids SET answer = 'commerce.placed_order/1 "' || gen_random_uuid() || '"'
            WHERE ctid = (SELECT min(ctid) FROM frame.request_ids)
            """
        ],
    ),
    ("a payment that no job goes on with", "I10", ["DELETE FROM procrastinate_jobs WHERE task_name = 'commerce.pay'"]),
    (
        "a webhook that nobody takes up",
        "I10",
        ["UPDATE frame.inbox SET process_time = NULL WHERE ctid = (SELECT min(ctid) FROM frame.inbox)"],
    ),
    (
        "a refund that nobody pays",
        "I10",
        ["UPDATE commerce.refunds SET state = 'pending', provider_id = NULL"],
    ),
    (
        "a deleted account that can still come in",
        "I32",
        ["INSERT INTO frame.account_deletions SELECT id, id, NULL, '{{}}', now(), now() FROM identity.accounts"],
    ),
    (
        "a deleted account whose data nobody erases",
        "I32",
        ["INSERT INTO frame.account_deletions SELECT gen_random_uuid(), gen_random_uuid(), NULL, '{{}}', now(), NULL"],
    ),
    (
        "a handle that was never taken",
        "I33",
        ["UPDATE identity.accounts SET handle = 'x' WHERE id = (SELECT id FROM identity.accounts LIMIT 1)"],
    ),
    ("a place of the record's chain lost", "I12", ["DELETE FROM frame.audit_seals WHERE position = 1"]),
    (
        "an event of the record lost",
        "I12",
        [
            """
            DELETE FROM frame.audit_entries USING frame.audit_seals
            WHERE audit_seals.sequence = audit_entries.sequence AND position = 2
            """
        ],
    ),
    (
        "an event put into the record's past",
        "I12",
        [
            """
            INSERT INTO frame.audit_entries (create_time, caller_id, action, resource, address, call_id, result, id,
                key_id, mac, transaction_id)
            SELECT create_time, caller_id, action, resource, address, call_id, result, gen_random_uuid(), key_id, mac,
                '4' FROM frame.audit_entries ORDER BY sequence LIMIT 1
            """
        ],
    ),
)
COPY = """
    (product_id, reason, on_hand_delta, held_delta, on_hand_after, held_after, order_id, note, account_id, create_time)
    SELECT product_id, reason, on_hand_delta, held_delta, on_hand_after, held_after, order_id, note, account_id,
        create_time FROM commerce.stock_movements
"""


def test_no_two_modules_have_a_law_of_one_number() -> None:
    """What a report names is found in one place, beside what the frame says of the same."""
    with_laws = [name for name in MODULES if find_spec(f"storage.{name}.laws") is not None]
    of_modules = [{law.id for law in import_module(f"storage.{name}.laws").LAWS} for name in with_laws]
    numbers = sorted(chain.from_iterable(of_modules))
    assert numbers == sorted({*numbers})


@pytest.fixture
async def busy_shop(shop: Shop) -> Shop:
    """A shop with an order in every state, and a payment that waits for its provider."""
    seller = shop.seller
    for sku in ("TEA", "MUG"):
        await stocked(seller, sku, 100)
    paid, back, gone, waiting = [await placed(seller, ("TEA", 2), ("MUG", 1)) for _ in range(4)]
    await shop.settled(await shop.pay(paid), "CAPTURED")
    part = await shop.settled(await shop.pay(back), "CAPTURED")
    request = payment_service_pb2.RefundPaymentRequest(payment_id=part.payment_id)
    await seller.payments.RefundPayment(request)
    await shop.settled(part, "REFUNDED")
    await cancelled(seller, gone)
    await eventually(lambda: sealed(shop), lambda count: count > 1)
    # All of the provider's reports are applied; then it is stopped, and requests to it wait.
    await eventually(lambda: undone(shop), lambda jobs: not jobs)
    await shop.sandbox.behave(fail=1.0)
    await shop.pay(waiting)
    return shop


async def sealed(shop: Shop) -> int:
    async with shop.server.database.store(FRAME).reading() as tx:
        found = await tx.audit_chain.head()
    return found.position if found else 0


async def undone(shop: Shop) -> list[str]:
    async with shop.server.database.store(FRAME).reading() as tx:
        return [job.task for job in await tx.jobs.list_undone(100) if job.task.startswith("commerce.")]


async def test_each_planted_inconsistency_is_found(busy_shop: Shop) -> None:
    """By the law that it breaks; consistent data breaks none."""
    assert await broken(busy_shop.server.database) == {}
    for damage, law, statements in DAMAGES:
        found = await broken_by(busy_shop.server.database, [each.format(copy=COPY) for each in statements])
        assert law in found, damage
    assert await broken(busy_shop.server.database) == {}


@pytest.mark.slow
async def test_the_command_prints_which_laws_hold(
    busy_shop: Shop, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each law with its counts; it exits with 1 if one is broken, and names the violations."""
    await busy_shop.sandbox.behave(fail=0.0)
    await eventually(lambda: undone(busy_shop), lambda jobs: not jobs)
    code, said = await verify(database_url, busy_shop)
    assert (code, len(re.findall(r"^I\d+", said, re.MULTILINE))) == (0, len(LAWS) + 3), said
    assert {line.split()[0] for line in said.splitlines() if line.startswith("I")} >= {
        f"I{n}" for n in range(1, 14) if n not in (9, 11)
    }
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE commerce.stock SET on_hand = on_hand + 1")
        connection.execute("UPDATE frame.audit_entries SET resource = 'product/NO' WHERE resource = 'product/TEA'")
    code, said = await verify(database_url, busy_shop, capsys)
    assert code == 1
    assert "I1 is broken by TEA" in said
    assert re.search(r"I12 is broken by position \d+, event \d+: the event is not what was written", said)


@pytest.mark.slow
async def test_a_database_of_another_environment_is_verified_and_named(
    busy_shop: Shop, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy is verified like any database, with the environment that it belongs to."""
    await busy_shop.sandbox.behave(fail=0.0)
    await eventually(lambda: undone(busy_shop), lambda jobs: not jobs)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE frame.environment SET issuer = 'https://shop.example'")
    code, said = await verify(database_url, busy_shop, capsys)
    assert code == 1
    assert "I13 is broken by https://shop.example, to which it belongs" in said
    assert said.count("is broken by") == 1


@pytest.mark.slow
async def test_without_the_master_key_the_output_says_that_signatures_are_not_checked(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything that SQL can check is reported; the exit code is 0."""
    settings = {"DATABASE_URL": database_url, "BACKROOM_PAYMENT_PROVIDER": "none", "COLUMNS": "200"}
    ended = await asyncio.to_thread(backroom_here, capsys, "verify", **settings)
    assert ended.code == 0
    assert "I12 was not checked by its signatures: BACKROOM_MASTER_KEY is not set" in ended.out


@pytest.mark.slow
async def test_the_providers_ledger_is_compared_with_ours(
    busy_shop: Shop, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A payment with different totals is named, and so is a provider that does not respond."""
    await busy_shop.sandbox.behave(fail=0.0)
    await eventually(lambda: undone(busy_shop), lambda jobs: not jobs)
    with psycopg.connect(database_url) as connection:
        spoil = "UPDATE commerce.payments SET captured = captured - 0.01 WHERE state = 'captured' RETURNING provider_id"
        [spoilt] = [row[0] for row in connection.execute(spoil)][:1]
    code, said = await verify(database_url, busy_shop, capsys)
    assert code == 1
    assert f"I7 is broken by {spoilt}: taken and paid back" in said
    await busy_shop.sandbox.stop()
    code, said = await verify(database_url, busy_shop, capsys)
    assert code == 1
    assert "the provider sandbox does not answer" in said


async def verify(
    database_url: str, shop: Shop, capsys: pytest.CaptureFixture[str] | None = None
) -> tuple[int | None, str]:
    """The command's exit code, and its output."""
    settings = {"DATABASE_URL": database_url, "BACKROOM_MASTER_KEY": MASTER_KEY, "COLUMNS": "200"}
    settings |= {"BACKROOM_SANDBOX_URL": shop.sandbox.url, "BACKROOM_SANDBOX_KEY": shop.sandbox.key}
    if capsys is None:
        ended = await backroom("verify", **settings)
    else:
        ended = await asyncio.to_thread(backroom_here, capsys, "verify", **settings)
    return ended.code, ended.out + ended.err


class _UndoneError(Exception):
    pass


async def broken_by(database: Database, statements: Sequence[str]) -> set[str]:
    """The laws that these statements would break; they are rolled back."""
    found: set[str] = set()
    with suppress(_UndoneError):
        async with database.store(FRAME).transaction() as tx:
            for statement in statements:
                await tx._connection.execute(text(statement))
            findings = await LawReader(tx._connection).check(LAWS)
            found = {finding.id for finding in findings if finding.violations}
            raise _UndoneError
    return found
