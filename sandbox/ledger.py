"""The provider's own ledger: one SQLite file, whose entries are never changed."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sandbox import rules
from sandbox.rules import Change, Kind, Payment, Refund

_SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    reference TEXT NOT NULL,
    method TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount TEXT NOT NULL,
    authorized TEXT NOT NULL,
    captured TEXT NOT NULL,
    refunded TEXT NOT NULL,
    failure TEXT NOT NULL,
    voided INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS refunds (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    payment_id TEXT NOT NULL REFERENCES payments (id),
    reference TEXT NOT NULL,
    amount TEXT NOT NULL,
    succeeded INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS refunds_of_payment ON refunds (payment_id);
CREATE TABLE IF NOT EXISTS entries (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    payment_id TEXT NOT NULL REFERENCES payments (id),
    kind TEXT NOT NULL,
    amount TEXT NOT NULL,
    refund_id TEXT REFERENCES refunds (id),
    time TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS entries_stay BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'an entry stays'); END;
CREATE TRIGGER IF NOT EXISTS entries_last BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'an entry stays'); END;
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    answer TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
"""
# A ledger of an earlier version, which spelled "authorized" differently.
_RESPELLED = """
BEGIN;
ALTER TABLE payments RENAME COLUMN authorised TO authorized;
DROP TRIGGER entries_stay;
UPDATE entries SET kind = 'authorized' WHERE kind = 'authorised';
UPDATE answers SET answer = replace(answer, '"authorised"', '"authorized"');
UPDATE outbox SET body = replace(body, '"authorised"', '"authorized"');
COMMIT;
"""
_COLUMNS = "id, reference, method, currency, amount, authorized, captured, refunded, failure, voided"

Answer = dict[str, Any]
"""A payment in a response: each amount as a decimal text with nine decimals."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event for the merchant."""

    sequence: int
    id: str
    body: str


class Ledger:
    """The ledger on one connection; it belongs to one thread, which begins and ends the transactions around its calls.

    Each request that changes something may carry a key: the first response under it is stored and returned again, and
    another request under it raises KeyReused. A refused request leaves nothing behind.
    """

    def __init__(self, path: Path, now: Callable[[], datetime], new_id: Callable[[], str]) -> None:
        """`new_id` makes unique ids."""
        self._now = now
        self._new_id = new_id
        path.parent.mkdir(parents=True, exist_ok=True)
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=10, cached_statements=256)
        self.connection.execute("PRAGMA journal_mode = WAL")
        # A change that was answered is on the disk, even after a power failure.
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute("PRAGMA foreign_keys = ON")
        if any(column[1] == "authorised" for column in self.connection.execute("PRAGMA table_info(payments)")):
            self.connection.executescript(_RESPELLED)
        self.connection.executescript(_SCHEMA)

    def close(self) -> None:
        self.connection.close()

    def authorize(self, reference: str, currency: str, amount: Decimal, method: str, key: str) -> Answer:
        """A new payment of this amount."""
        request = ("authorize", reference, currency, _text(amount), method)

        def act() -> Answer:
            payment = Payment(f"pay_{self._new_id()}", reference, method, currency, amount)
            self._insert(payment)
            self._enter(Change(payment, Kind.CREATED))
            return self._make(payment, rules.begun(payment))

        return self._once(key, request, act)

    def confirm(self, payment_id: str) -> Answer:
        """The customer's confirmation on the provider's page; raises PaymentUnknown."""
        payment = self._get(payment_id)
        return self._make(payment, rules.confirmed(payment))

    def capture(self, payment_id: str, amount: Decimal | None, key: str) -> Answer:
        """Takes what was authorized, once; raises PaymentUnknown, NotAuthorized, AmountTooLarge."""

        def act() -> Answer:
            payment = self._get(payment_id)
            return self._make(payment, rules.captured(payment, amount))

        return self._once(key, ("capture", payment_id, "" if amount is None else _text(amount)), act)

    def void(self, payment_id: str, key: str) -> Answer:
        """Releases what was not taken; raises PaymentUnknown."""

        def act() -> Answer:
            payment = self._get(payment_id)
            return self._make(payment, rules.voided(payment))

        return self._once(key, ("void", payment_id), act)

    def refund(self, payment_id: str, reference: str, amount: Decimal, key: str) -> Answer:
        """Refunds, or stores a failed refund; raises PaymentUnknown."""

        def act() -> Answer:
            payment = self._get(payment_id)
            return self._make(payment, rules.refunded(payment, f"ref_{self._new_id()}", reference, amount))

        return self._once(key, ("refund", payment_id, reference, _text(amount)), act)

    def get(self, payment_id: str) -> Answer:
        """Raises PaymentUnknown."""
        return payment_answer(self._get(payment_id))

    def list(self, after: str, limit: int) -> Sequence[Answer]:
        """This many payments in order of creation, after the one of that id; raises PaymentUnknown."""
        sequence = 0
        if after:
            row = self.connection.execute("SELECT sequence FROM payments WHERE id = ?", (after,)).fetchone()
            if row is None:
                raise rules.PaymentUnknown
            sequence = row[0]
        query = f"SELECT {_COLUMNS} FROM payments WHERE sequence > ? ORDER BY sequence LIMIT ?"
        rows = self.connection.execute(query, (sequence, limit)).fetchall()
        return [payment_answer(self._whole(row)) for row in rows]

    def unsent(self, after: int, limit: int) -> Sequence[Event]:
        """The events that are still to be sent, from that place on."""
        query = "SELECT sequence, event_id, body FROM outbox WHERE sequence > ? ORDER BY sequence LIMIT ?"
        return [Event(*row) for row in self.connection.execute(query, (after, limit))]

    def sent(self, sequence: int) -> None:
        self.connection.execute("DELETE FROM outbox WHERE sequence = ?", (sequence,))

    def _once(self, key: str, request: tuple[str, ...], act: Callable[[], Answer]) -> Answer:
        if not key:
            return act()
        digest = hashlib.sha256(json.dumps(request).encode()).hexdigest()
        earlier = self.connection.execute("SELECT digest, answer FROM answers WHERE key = ?", (key,)).fetchone()
        if earlier is not None:
            if earlier[0] != digest:
                raise rules.KeyReused
            first: Answer = json.loads(earlier[1])
            return first
        answer = act()
        self.connection.execute("INSERT INTO answers VALUES (?, ?, ?)", (key, digest, json.dumps(answer)))
        return answer

    def _make(self, payment: Payment, change: Change | None) -> Answer:
        """Stores a change, if there is one, and returns the payment's state."""
        if change is None:
            return payment_answer(payment)
        after = change.payment
        self.connection.execute(
            "UPDATE payments SET authorized = ?, captured = ?, refunded = ?, failure = ?, voided = ? WHERE id = ?",
            (*_amounts(after), after.failure, after.voided, after.id),
        )
        if (refund := change.refund) is not None:
            self.connection.execute(
                "INSERT INTO refunds (id, payment_id, reference, amount, succeeded) VALUES (?, ?, ?, ?, ?)",
                (refund.id, after.id, refund.reference, _text(refund.amount), refund.succeeded),
            )
        self._enter(change)
        answer = payment_answer(after)
        self._publish(change.kind, answer)
        return answer

    def _insert(self, payment: Payment) -> None:
        self.connection.execute(
            f"INSERT INTO payments ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(payment.id, payment.reference, payment.method, payment.currency, _text(payment.amount)),
                *_amounts(payment),
                payment.failure,
                payment.voided,
            ),
        )

    def _enter(self, change: Change) -> None:
        refund_id = change.refund.id if change.refund else None
        self.connection.execute(
            "INSERT INTO entries (payment_id, kind, amount, refund_id, time) VALUES (?, ?, ?, ?, ?)",
            (change.payment.id, change.kind, _text(change.amount), refund_id, self._now().isoformat()),
        )

    def _publish(self, kind: Kind, answer: Answer) -> None:
        event_id = f"evt_{self._new_id()}"
        body = {"type": f"payment.{kind}", "id": event_id, "created": self._now().isoformat(), "data": answer}
        self.connection.execute("INSERT INTO outbox (event_id, body) VALUES (?, ?)", (event_id, json.dumps(body)))

    def _get(self, payment_id: str) -> Payment:
        query = f"SELECT {_COLUMNS} FROM payments WHERE id = ?"
        row = self.connection.execute(query, (payment_id,)).fetchone()
        if row is None:
            raise rules.PaymentUnknown
        return self._whole(row)

    def _whole(self, row: tuple[Any, ...]) -> Payment:
        (payment_id, reference, method, currency, *amounts, failure, voided) = row
        amount, authorized, captured, refunded = map(Decimal, amounts)
        return Payment(
            *(payment_id, reference, method, currency, amount, authorized, captured, refunded, failure, bool(voided)),
            refunds=self._refunds(payment_id),
        )

    def _refunds(self, payment_id: str) -> tuple[Refund, ...]:
        query = "SELECT id, reference, amount, succeeded FROM refunds WHERE payment_id = ? ORDER BY sequence"
        rows = self.connection.execute(query, (payment_id,))
        return tuple(Refund(row[0], row[1], Decimal(row[2]), bool(row[3])) for row in rows)


def payment_answer(payment: Payment) -> Answer:
    return {
        "id": payment.id,
        "reference": payment.reference,
        "currency": payment.currency,
        "amount": _text(payment.amount),
        "status": payment.status,
        "authorized": _text(payment.authorized),
        "captured": _text(payment.captured),
        "refunded": _text(payment.refunded),
        "failure": payment.failure,
        "voided": payment.voided,
        "refunds": [
            {
                "id": refund.id,
                "reference": refund.reference,
                "amount": _text(refund.amount),
                "status": "succeeded" if refund.succeeded else "failed",
            }
            for refund in payment.refunds
        ],
    }


def _amounts(payment: Payment) -> tuple[str, str, str]:
    return (_text(payment.authorized), _text(payment.captured), _text(payment.refunded))


def _text(amount: Decimal) -> str:
    return f"{amount:.9f}"
