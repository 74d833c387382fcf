"""The provider's ledger."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.ledger import Answer, Ledger
from sandbox.rules import METHODS, KeyReused, PaymentUnknown, RequestRefused
from tests.fixtures.examples import examples

SUMS = ("authorized", "captured", "refunded")


def opened(path: Path = Path(":memory:")) -> Ledger:
    ids = count()
    return Ledger(path, lambda: datetime.now(UTC), lambda: str(next(ids)))


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    made = opened()
    yield made
    made.close()


@dataclass(frozen=True)
class Call:
    """One call of a method of the ledger, with its arguments; `of` selects one of the existing payments."""

    method: str
    arguments: tuple[Any, ...]
    of: int | None = None
    key: str | None = None

    def make(self, ledger: Ledger, payment_ids: list[str]) -> Answer:
        which = () if self.of is None else (payment_ids[self.of % len(payment_ids)] if payment_ids else "none",)
        keyed = () if self.key is None else (self.key,)
        answer: Answer = getattr(ledger, self.method)(*which, *self.arguments, *keyed)
        return answer


# Few of each, so that keys, payments and amounts recur.
amounts = st.sampled_from([Decimal(amount) for amount in ("0.000000001", "1", "2.5", "10")])
keys = st.uuids().map(str) | st.sampled_from(["key 1", "key 2", "key 3"])
methods = st.sampled_from(["", "card_later", *sorted(METHODS), "other"]) | st.just("")
places = st.integers(0, 1)
calls = st.one_of(
    st.builds(
        lambda amount, method, key: Call("authorize", ("ref", "GBP", amount, method), key=key),
        amounts,
        methods,
        keys,
    ),
    st.builds(lambda of: Call("confirm", (), of), places),
    st.builds(lambda of, amount, key: Call("capture", (amount,), of, key), places, st.none() | amounts, keys),
    st.builds(lambda of, key: Call("void", (), of, key), places, keys),
    st.builds(lambda of, amount, key: Call("refund", ("ref", amount), of, key), places, amounts, keys),
)


@examples(200)
@given(st.lists(calls, max_size=25))
def test_the_ledger_adds_up_after_any_requests(asked: list[Call]) -> None:
    """Nothing is taken that was not secured, nor refunded that was not taken, and a key has one response."""
    ledger = opened()
    payment_ids: list[str] = []
    first: dict[str, tuple[Any, Answer]] = {}
    for call in asked:
        meant = (call.method, call.arguments, call.of is not None and payment_ids and call.of % len(payment_ids))
        known = first.get(call.key or "")
        try:
            answer = call.make(ledger, payment_ids)
        except KeyReused:
            assert known
            assert known[0] != meant
        except RequestRefused:
            assert known is None
        else:
            assert known is None or known == (meant, answer)
            if call.method == "authorize" and known is None:
                payment_ids.append(answer["id"])
            if call.key:
                first[call.key] = (meant, answer)
        _check(ledger)
    ledger.close()


def _check(ledger: Ledger) -> None:
    """Compares each payment with its entries, by separate sums."""
    folded: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    entries = ledger.connection.execute("SELECT payment_id, kind, amount FROM entries").fetchall()
    for payment_id, kind, amount in entries:
        folded[payment_id, kind] += Decimal(amount)
    for payment in ledger.list("", 1000):
        authorized, captured, refunded = (Decimal(payment[name]) for name in SUMS)
        assert 0 <= refunded <= captured <= authorized <= Decimal(payment["amount"])
        assert (authorized, captured, refunded) == tuple(folded[payment["id"], name] for name in SUMS)
        paid_back = [Decimal(each["amount"]) for each in payment["refunds"] if each["status"] == "succeeded"]
        assert sum(paid_back) == refunded
        assert not (payment["voided"] and captured)
    told = ledger.connection.execute("SELECT count(*) FROM outbox").fetchone()[0]
    assert told == sum(kind != "created" for _, kind, _ in entries)


def test_an_entry_cannot_be_changed(ledger: Ledger) -> None:
    """Neither by a defect nor by hand."""
    ledger.authorize("ref", "GBP", Decimal(1), "", "a")
    for statement in ("UPDATE entries SET amount = '0'", "DELETE FROM entries"):
        with pytest.raises(sqlite3.IntegrityError, match="an entry stays"):
            ledger.connection.execute(statement)


def test_a_reopened_ledger_is_the_same(tmp_path: Path) -> None:
    """The payments, the first responses, and the events that are still to be sent."""
    before = opened(tmp_path / "books" / "ledger.sqlite")
    payment = before.authorize("ref", "GBP", Decimal("0.1"), "", "a")
    captured = before.capture(payment["id"], None, "c")
    events = before.unsent(0, 10)
    before.close()
    after = opened(tmp_path / "books" / "ledger.sqlite")
    assert after.list("", 10) == [captured]
    assert after.authorize("ref", "GBP", Decimal("0.1"), "", "a") == payment
    assert after.unsent(0, 10) == events
    after.close()


@pytest.mark.parametrize(
    "ask",
    [
        lambda ledger: ledger.get("pay_x"),
        lambda ledger: ledger.confirm("pay_x"),
        lambda ledger: ledger.capture("pay_x", None, ""),
        lambda ledger: ledger.void("pay_x", ""),
        lambda ledger: ledger.refund("pay_x", "ref", Decimal(1), "k"),
        lambda ledger: ledger.list("pay_x", 1),
    ],
)
def test_a_missing_payment_is_refused(ledger: Ledger, ask: Callable[[Ledger], Any]) -> None:
    """And the key of the attempt can be used for another."""
    with pytest.raises(PaymentUnknown):
        ask(ledger)
    assert ledger.connection.execute("SELECT count(*) FROM answers").fetchone() == (0,)
