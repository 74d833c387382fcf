"""The guarantees, compared with the final state: by SQL, files and logs, without the server's code."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from email import message_from_bytes
from pathlib import Path
from typing import Any

import psycopg

from tests.failover.book import Ask, Book, Kind
from tests.failover.watchers import Watcher
from tests.webhooks.outgoing import Heard

Rows = Sequence[Sequence[Any]]


@dataclass
class Verdict:
    """The guarantees that a round broke, each named."""

    lost: list[str] = field(default_factory=list)
    """Acknowledged, or sent to a watcher or receiver, but missing; or a dropped job."""
    doubled: list[str] = field(default_factory=list)
    """Stored more than once, or without a request; or sent twice."""
    skipped: list[str] = field(default_factory=list)
    """Stored, but never sent to a watcher or to a webhook's receiver."""
    money: list[str] = field(default_factory=list)
    """Taken more than once, not at all, or only in one ledger."""
    laws: list[str] = field(default_factory=list)
    """The violations that `backroom verify` finds."""
    unknown: list[str] = field(default_factory=list)
    """Requests whose outcome no caller learned: the round cannot be judged."""

    @property
    def kept(self) -> bool:
        return not any((self.lost, self.doubled, self.skipped, self.money, self.laws, self.unknown))


@dataclass(frozen=True)
class Kept:
    """The database's content, read in one snapshot."""

    orders: Rows
    """id, state, the mark of its ask, customer."""
    adjustments: Rows
    """note, count"""
    products: Rows
    """sku, id"""
    accounts: Rows
    """email, count"""
    endpoints: Rows
    """description, id"""
    payments: Rows
    """id, order, state, captured, refunded, provider's id"""
    refunds: Rows
    """note, id, state, provider's id"""
    events: Rows
    """type, subject"""
    pending_jobs: Rows
    """task, args"""
    pending_mails: Rows
    """id"""
    pending_deliveries: Rows
    """event's type, subject"""

    @property
    def states(self) -> dict[str, str]:
        return {row[0]: row[1] for row in self.orders}


_QUESTIONS: Mapping[str, str] = {
    "orders": """
        SELECT orders.id::text, state, coalesce((SELECT sum(quantity) FROM commerce.order_lines
            JOIN commerce.products ON products.id = product_id WHERE order_id = orders.id AND sku = 'MARK'), 0)::bigint,
            customer_id FROM commerce.orders""",
    "adjustments": "SELECT note, count(*) FROM commerce.stock_movements WHERE note LIKE 'ask %' GROUP BY note",
    "products": "SELECT sku, id::text FROM commerce.products",
    "accounts": "SELECT email, count(*) FROM identity.accounts WHERE email IS NOT NULL GROUP BY email",
    "endpoints": "SELECT description, id::text FROM webhooks.endpoints",
    "payments": "SELECT id::text, order_id::text, state, captured, refunded, provider_id FROM commerce.payments",
    "refunds": "SELECT note, id::text, state, provider_id FROM commerce.refunds",
    "events": "SELECT type, subject_id::text FROM frame.events",
    "pending_jobs": "SELECT task_name, args::text FROM procrastinate_jobs WHERE status IN ('todo', 'doing')",
    "pending_mails": "SELECT id::text FROM identity.mails",
    "pending_deliveries": """
        SELECT event_type, body::json -> 'data' ->> 'order_id' FROM webhooks.deliveries
        JOIN webhooks.endpoints ON endpoints.id = endpoint_id
        WHERE deliveries.state = 'pending' AND description = 'all'""",
}


def kept_in(url: str) -> Kept:
    """Reads everything in one snapshot."""
    with psycopg.connect(url, connect_timeout=10) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        found = {name: connection.execute(asked.encode()).fetchall() for name, asked in _QUESTIONS.items()}
    return Kept(**found)


class Checker:
    """Finds everything lost, doubled, skipped or charged wrongly."""

    def __init__(
        self,
        book: Book,
        kept: Kept,
        ledger: Path,
        heard: Sequence[Heard],
        watchers: Sequence[Watcher],
        hooked: str,
        outbox: Path | None = None,
    ) -> None:
        """`ledger` is the provider's; `heard` is what the receiver got, all orders under the path `hooked`.

        `outbox` is the folder of sent mails, if there is one.
        """
        self._book = book
        self._kept = kept
        self._ledger = ledger
        self._heard = [each for each in heard if each.target == hooked]
        self._watchers = watchers
        self._outbox = outbox
        self._acknowledged = {ask.number for ask in book.acknowledged()}
        self._unknown = {ask.number for ask in book.unknown}
        self._verdict = Verdict()

    def verdict(self) -> Verdict:
        self._verdict.unknown += [f"{ask.kind.value} {ask.number}: {_last(ask)}" for ask in self._book.unknown]
        self._check_orders()
        self._check_cancels()
        self._check_payments()
        self._check_others()
        self._check_jobs()
        self._check_mails()
        self._check_ledger()
        self._check_webhooks()
        self._check_watchers()
        return self._verdict

    def _check_orders(self) -> None:
        by_mark: defaultdict[int, list[str]] = defaultdict(list)
        for order_id, _state, mark, _customer in self._kept.orders:
            by_mark[mark].append(order_id)
        asked = {ask.number: ask for ask in self._book.asks if ask.kind is Kind.ORDER}
        for number, ask in asked.items():
            self._check_one(ask, by_mark.pop(number, []))
        self._verdict.doubled += [f"order {each} of no ask" for found in by_mark.values() for each in found]

    def _check_cancels(self) -> None:
        states = self._kept.states
        for ask in self._book.acknowledged(Kind.CANCEL):
            if (state := states.get(ask.subject)) != "cancelled":
                self._verdict.lost.append(f"cancel {ask.number}: the order {ask.subject} is {state}")

    def _check_payments(self) -> None:
        of_order: defaultdict[str, list[str]] = defaultdict(list)
        for payment_id, order_id, *_ in self._kept.payments:
            of_order[order_id].append(payment_id)
        for ask in self._book.asks:
            if ask.kind is Kind.PAYMENT:
                self._check_one(ask, of_order.pop(ask.subject, []))
        self._verdict.doubled += [f"payment {each} of no ask" for found in of_order.values() for each in found]

    def _check_others(self) -> None:
        products, endpoints = _grouped(self._kept.products), _grouped(self._kept.endpoints)
        adjusted, accounts = dict(map(tuple, self._kept.adjustments)), dict(map(tuple, self._kept.accounts))
        refunds: Counter[str] = Counter(row[0] for row in self._kept.refunds if row[0])
        found: Mapping[Kind, Callable[[Ask], Sequence[str]]] = {
            Kind.PRODUCT: lambda ask: products.get(f"P-{ask.number}", []),
            Kind.ENDPOINT: lambda ask: endpoints.get(ask.note, []),
            Kind.ADJUST: lambda ask: [ask.answer or ask.note] * adjusted.get(ask.note, 0),
            Kind.REFUND: lambda ask: [ask.answer or ask.subject] * refunds.get(ask.note, 0),
            Kind.REGISTER: lambda ask: [ask.answer or ask.note] * accounts.get(f"ask-{ask.number}@example.com", 0),
        }
        for ask in self._book.asks:
            if ask.kind in found:
                self._check_one(ask, found[ask.kind](ask))

    def _check_one(self, ask: Ask, found: Sequence[str]) -> None:
        """One request has at most one effect, and exactly that one if it was acknowledged."""
        name = f"{ask.kind.value} {ask.number}"
        acknowledged = ask.number in self._acknowledged
        if acknowledged and ask.answer not in found:
            self._verdict.lost.append(f"{name}: {ask.answer} was acknowledged, and there is {found or 'nothing'}")
        if len(found) > 1:
            self._verdict.doubled.append(f"{name}: {', '.join(found)}")
        if found and not acknowledged and ask.number not in self._unknown:
            self._verdict.doubled.append(f"{name}: {found[0]} is there, and was refused: {_last(ask)}")

    def _check_jobs(self) -> None:
        """Everything unfinished has a job in the queue."""
        queued = " ".join(f"{task} {args}" for task, args in self._kept.pending_jobs)
        for payment_id, _order, state, _captured, _refunded, provider_id in self._kept.payments:
            unfinished = state == "authorized" or (state == "pending" and provider_id is None)
            if unfinished and payment_id not in queued:
                self._verdict.lost.append(f"the job of the payment {payment_id}, which is {state}")
        for _note, refund_id, state, provider_id in self._kept.refunds:
            if state == "pending" and provider_id is None and refund_id not in queued:
                self._verdict.lost.append(f"the job of the refund {refund_id}")

    def _check_mails(self) -> None:
        """Each registered user got one mail, unless mails still wait."""
        if self._outbox is None or self._kept.pending_mails:
            return
        letters = (message_from_bytes(path.read_bytes()) for path in self._outbox.glob("*.eml"))
        sent = Counter(str(letter["to"]) for letter in letters)
        for ask in self._book.acknowledged(Kind.REGISTER):
            if (count := sent[f"ask-{ask.number}@example.com"]) != 1:
                kind = self._verdict.doubled if count else self._verdict.lost
                kind.append(f"register {ask.number}: {count} mails")

    def _check_ledger(self) -> None:
        taken = _taken(self._ledger)
        ours = {row[0]: (row[3], row[4]) for row in self._kept.payments}
        for payment_id, (captures, captured, refunded) in taken.items():
            if captures > 1:
                self._verdict.money.append(f"payment {payment_id}: taken {captures} times")
            if payment_id not in ours and captured:
                self._verdict.money.append(f"payment {payment_id}: the provider took {captured}, and we know of none")
            elif payment_id in ours and ours[payment_id] != (captured, refunded):
                self._verdict.money.append(
                    f"payment {payment_id}: the provider has {captured}, {refunded}, and we {ours[payment_id]}"
                )
        for payment_id, (captured, _refunded) in ours.items():
            if captured and payment_id not in taken:
                self._verdict.money.append(f"payment {payment_id}: we have taken {captured}, and the provider nothing")

    def _check_webhooks(self) -> None:
        """Each event of an order was sent under one webhook-id, however often; and nothing else was sent."""
        ids: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for each in self._heard:
            ids[each.type, str(json.loads(each.body)["data"].get("order_id"))].add(each.id)
        happened = Counter((row[0], row[1]) for row in self._kept.events if row[0].startswith("order."))
        pending = {(row[0], row[1]) for row in self._kept.pending_deliveries}
        for event, count in happened.items():
            if not ids[event] and event not in pending:
                self._verdict.skipped.append(f"webhook {event[0]} of {event[1]}")
            if count > 1 or len(ids[event]) > 1:
                self._verdict.doubled.append(f"webhook {event[0]} of {event[1]}: {len(ids[event])} ids, {count} events")
        gone = [event for event, told in ids.items() if told and event not in happened]
        self._verdict.lost += [f"webhook {kind} of {order}, which did not happen" for kind, order in gone]

    def _check_watchers(self) -> None:
        for number, watcher in enumerate(self._watchers):
            name = f"watcher {number} of {watcher.customer or 'all'}"
            truth = self.truth_for(watcher)
            missing = [each for each in truth if watcher.known.get(each) != truth[each]]
            self._verdict.skipped += [
                f"{name}: {each} is {truth[each]}, not {watcher.known.get(each)}" for each in missing
            ]
            gone = sorted(set(watcher.known) - set(truth))
            self._verdict.lost += [f"{name}: {each} was told, and is not there" for each in gone]
            self._verdict.doubled += [f"{name}: {change} was told twice" for change in watcher.twice]
            self._verdict.skipped += [f"{name}: refused with {each}" for each in watcher.refused]
            if not watcher.listings:
                self._check_whole(name, watcher, truth)

    def _check_whole(self, name: str, watcher: Watcher, truth: Mapping[str, str]) -> None:
        """A watcher that never listed again received each change, and not only each final state."""
        happened = {(row[1], _state(row[0])) for row in self._kept.events if row[0].startswith("order.")}
        changes = {change for change in happened if change[0] in truth}
        self._verdict.skipped += [f"{name}: never told {change}" for change in sorted(changes - set(watcher.received))]

    def truth_for(self, watcher: Watcher) -> dict[str, str]:
        """What it should know in the end."""
        return {row[0]: row[1] for row in self._kept.orders if watcher.customer in ("", row[3])}


def _taken(ledger: Path) -> dict[str, tuple[int, Decimal, Decimal]]:
    """By our id: how often the provider captured, and how much it took and refunded in all."""
    asked = """
        SELECT reference, (SELECT count(*) FROM entries WHERE payment_id = payments.id AND kind = 'captured'),
            captured, refunded FROM payments"""
    found: dict[str, tuple[int, Decimal, Decimal]] = {}
    with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as books:
        for reference, captures, captured, refunded in books.execute(asked):
            count, taken, returned = found.get(reference, (0, Decimal(0), Decimal(0)))
            found[reference] = (count + captures, taken + Decimal(captured), returned + Decimal(refunded))
    books.close()
    return found


def _grouped(rows: Rows) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in rows:
        found[name].append(value)
    return dict(found)


def _state(event_type: str) -> str:
    happened = event_type.removeprefix("order.")
    return "pending" if happened == "placed" else happened


def _last(ask: Ask) -> str:
    return ask.attempts[-1].text if ask.attempts else "never answered"
