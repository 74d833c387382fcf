"""What must hold of all that is kept, whatever happened: told by SQL over the tables, not by what writes them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from storage.base import Repository

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Invariant:
    """One law, and the two questions that hold it up: of how many things it speaks, and which of them break it."""

    id: str
    law: str
    counted: str
    broken: str


@dataclass(frozen=True, slots=True)
class Finding:
    """How a law stands."""

    id: str
    law: str
    checked: int
    """Of how many things it speaks."""
    violations: int
    named: Sequence[str]
    """The first of those that break it."""


class InvariantRepository(Repository):
    """Checks every law in one snapshot; to be asked in a transaction of its own."""

    async def check(self) -> Sequence[Finding]:
        await self._connection.execute(text("SET LOCAL statement_timeout = 0"))
        return [await self._check(invariant) for invariant in INVARIANTS]

    async def _check(self, invariant: Invariant) -> Finding:
        checked = (await self._connection.execute(text(invariant.counted))).scalar_one()
        found = (await self._connection.execute(text(invariant.broken))).scalars()
        broken = [str(name) for name in found]
        return Finding(invariant.id, invariant.law, int(checked), len(broken), broken[:_MOST_NAMED])


_PRODUCTS = "SELECT count(*) FROM commerce.products"
_ORDERS = "SELECT count(*) FROM commerce.orders"
_PAYMENTS = "SELECT count(*) FROM commerce.payments"
_REQUESTS = "SELECT count(*) FROM frame.request_ids"
_SEALS = "SELECT count(*) FROM frame.audit_seals"
_ENTRIES = "SELECT count(*) FROM frame.audit_entries"

_SHELVES = "commerce.products JOIN commerce.stock ON stock.product_id = products.id"
_PIECES = """
    SELECT order_id, product_id, sum(quantity) AS pieces FROM commerce.order_lines GROUP BY order_id, product_id
"""
_STORIES = f"""
    SELECT order_id, product_id, state, coalesce(pieces, 0) AS pieces, coalesce(held, 0) AS held,
        coalesce(let_go, 0) AS let_go, coalesce(sold, 0) AS sold, coalesce(back, 0) AS back, low, high
    FROM ({_PIECES}) AS ordered FULL JOIN (
        SELECT order_id, product_id, sum(held_delta) FILTER (WHERE reason = 'held') AS held,
            -sum(held_delta) FILTER (WHERE reason IN ('released', 'expired')) AS let_go,
            -sum(on_hand_delta) FILTER (WHERE reason = 'sold') AS sold,
            sum(on_hand_delta) FILTER (WHERE reason = 'returned') AS back,
            min(sum_held) AS low, max(sum_held) AS high
        FROM (
            SELECT *, sum(held_delta) OVER (PARTITION BY order_id, product_id ORDER BY sequence) AS sum_held
            FROM commerce.stock_movements WHERE order_id IS NOT NULL
        ) AS moved GROUP BY order_id, product_id
    ) AS story USING (order_id, product_id) LEFT JOIN commerce.orders ON orders.id = order_id
"""
"""What the stock ledger tells of each order and product, beside what was ordered."""

_OPEN = """
    SELECT 'commerce.take_payment_event' AS task, source || ' ' || event_id AS subject FROM frame.inbox
        WHERE process_time IS NULL AND source IN ('sandbox', 'stripe')
    UNION ALL SELECT 'webhooks.republish', source || ' ' || event_id FROM frame.inbox
        WHERE process_time IS NULL AND source NOT IN ('sandbox', 'stripe')
    UNION ALL SELECT 'commerce.pay', id::text FROM commerce.payments
        WHERE state = 'authorized' OR (state = 'pending' AND provider_id IS NULL)
    UNION ALL SELECT 'commerce.refund', id::text FROM commerce.refunds
        WHERE state = 'pending' AND provider_id IS NULL
"""
_QUEUED = """
    SELECT task_name, coalesce(args ->> 'payment_id', args ->> 'refund_id',
        (args ->> 'source') || ' ' || (args ->> 'event_id')) FROM procrastinate_jobs WHERE status <> 'succeeded'
"""

INVARIANTS: Sequence[Invariant] = (
    Invariant(
        "I1",
        "of each product, what came in is what is available, held, sold and written off",
        _PRODUCTS,
        f"""
        SELECT sku FROM {_SHELVES} LEFT JOIN (
            SELECT product_id,
                sum(on_hand_delta) FILTER (WHERE reason IN ('received', 'returned', 'corrected')) AS came,
                -sum(on_hand_delta) FILTER (WHERE reason = 'sold') AS sold,
                -sum(on_hand_delta) FILTER (WHERE reason = 'written_off') AS lost
            FROM commerce.stock_movements GROUP BY product_id
        ) AS ledger USING (product_id)
        WHERE coalesce(came, 0) <> (on_hand - held) + held + coalesce(sold, 0) + coalesce(lost, 0)
        """,
    ),
    Invariant(
        "I2",
        "the stock movements of each product fold to its balance, step by step",
        _PRODUCTS,
        f"""
        SELECT DISTINCT sku FROM {_SHELVES} LEFT JOIN (
            SELECT product_id, on_hand_after, held_after, sum(on_hand_delta) OVER ledger AS on_hand_sum,
                sum(held_delta) OVER ledger AS held_sum, lead(sequence) OVER ledger IS NULL AS last
            FROM commerce.stock_movements WINDOW ledger AS (PARTITION BY product_id ORDER BY sequence)
        ) AS step USING (product_id)
        WHERE (on_hand_after, held_after) IS DISTINCT FROM (on_hand_sum, held_sum)
            OR (last IS NOT false AND on_hand <> coalesce(on_hand_sum, 0))
            OR (last IS NOT false AND held <> coalesce(held_sum, 0))
        """,
    ),
    Invariant(
        "I3",
        "what is available, held and sold is never negative",
        _PRODUCTS,
        f"""
        SELECT sku FROM {_SHELVES} WHERE held < 0 OR on_hand < held
        UNION SELECT sku FROM commerce.products JOIN commerce.stock_movements ON product_id = products.id
            WHERE held_after < 0 OR on_hand_after < held_after
        """,
    ),
    Invariant(
        "I4",
        "of each product, what pending orders hold is what is held",
        _PRODUCTS,
        f"""
        SELECT sku FROM {_SHELVES} LEFT JOIN (
            SELECT product_id, sum(pieces) AS held FROM ({_PIECES}) AS ordered
            JOIN commerce.orders ON orders.id = order_id WHERE state = 'pending' GROUP BY product_id
        ) AS pending USING (product_id) WHERE stock.held <> coalesce(pending.held, 0)
        """,
    ),
    Invariant(
        "I4",
        "no order holds its stock 5 seconds past its time",
        _ORDERS,
        "SELECT id FROM commerce.orders WHERE state = 'pending' AND hold_end_time < now() - interval '5 seconds'",
    ),
    Invariant(
        "I5",
        "each hold is resolved at most once: sold, released or expired, as the order's state says",
        _ORDERS,
        f"""
        SELECT DISTINCT order_id FROM ({_STORIES}) AS story
        WHERE low < 0 OR high > pieces OR held < pieces OR held > 2 * pieces
            OR held - let_go - sold <> pieces * (state = 'pending')::int
            OR let_go > pieces OR sold > pieces OR back > sold OR state IS NULL
            OR (state IN ('paid', 'fulfilled', 'refunded') AND sold <> pieces)
            OR (state IN ('pending', 'expired') AND sold <> 0)
            OR (state = 'cancelled' AND back <> sold)
        """,
    ),
    Invariant(
        "I6",
        "each order is there whole: its counts and its total are the sums of its lines",
        _ORDERS,
        """
        SELECT orders.id FROM commerce.orders LEFT JOIN commerce.order_lines ON order_id = orders.id GROUP BY orders.id
        HAVING count(order_id) <> line_count OR coalesce(sum(quantity), 0) <> unit_count
            OR coalesce(sum(quantity * unit_price), 0) <> total
        """,
    ),
    Invariant(
        "I6",
        "each order was told of once as placed",
        _ORDERS,
        """
        SELECT id FROM commerce.orders LEFT JOIN (
            SELECT subject_id, count(*) AS told FROM frame.events WHERE type = 'order.placed' GROUP BY subject_id
        ) AS placed ON subject_id = id
        WHERE coalesce(told, 0) <> 1 AND orders.create_time > (SELECT min(create_time) FROM frame.events)
        """,
    ),
    Invariant(
        "I7",
        "of each payment, no more is paid back than taken, and no more taken than secured",
        _PAYMENTS,
        """
        SELECT payments.id FROM commerce.payments LEFT JOIN commerce.refunds
            ON payment_id = payments.id AND refunds.state <> 'failed' GROUP BY payments.id
        HAVING captured > authorized OR refunded > captured OR coalesce(sum(refunds.amount), 0) > captured
            OR coalesce(sum(refunds.amount) FILTER (WHERE refunds.state = 'succeeded'), 0) > refunded
        """,
    ),
    Invariant(
        "I7",
        "what was taken for an order and is to be kept is one payment, and there is one just where it is sold",
        _ORDERS,
        """
        SELECT orders.id FROM commerce.orders LEFT JOIN (
            SELECT payments.id, order_id, payments.state IN ('captured', 'refunded') AS taken,
                captured > greatest(refunded, coalesce(sum(refunds.amount), 0)) OR payments.amount = 0 AS kept
            FROM commerce.payments LEFT JOIN commerce.refunds ON payment_id = payments.id AND refunds.state <> 'failed'
            GROUP BY payments.id
        ) AS payment ON order_id = orders.id GROUP BY orders.id
        HAVING count(*) FILTER (WHERE taken AND kept) > 1
            OR (orders.state IN ('pending', 'expired', 'cancelled') AND bool_or(taken AND kept AND total > 0))
            OR (orders.state IN ('paid', 'fulfilled', 'refunded') AND NOT coalesce(bool_or(taken), false))
        """,
    ),
    Invariant(
        "I8",
        "each request that was acknowledged has its one answer",
        _REQUESTS,
        "SELECT request_id FROM frame.request_ids WHERE answer IS NULL",
    ),
    Invariant(
        "I8",
        "each order that a request placed is there, and is no other request's",
        _REQUESTS,
        r"""
        SELECT min(request_id::text) FROM frame.request_ids
        LEFT JOIN commerce.orders ON orders.id::text = answer AND placed_by = caller_id
        WHERE answer ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
        GROUP BY answer HAVING count(*) > 1 OR count(orders.id) = 0
        """,
    ),
    Invariant(
        "I9",
        "no two bookings of a resource overlap (this version takes no bookings)",
        "SELECT 0",
        "SELECT 0 WHERE false",
    ),
    Invariant(
        "I10",
        "each job that was deferred has run, or stands in the queue",
        "SELECT (SELECT count(*) FROM frame.inbox) + (SELECT count(*) FROM commerce.payments)"
        " + (SELECT count(*) FROM commerce.refunds)",
        f"SELECT task || ' ' || subject FROM ({_OPEN} EXCEPT {_QUEUED}) AS lost",
    ),
    Invariant(
        "I12",
        "the chain that seals the record has no gap, and an event at each of its places",
        _SEALS,
        """
        SELECT position FROM (
            SELECT position, sequence, lag(position, 1, 0::bigint) OVER (ORDER BY position) AS before
            FROM frame.audit_seals
        ) AS place LEFT JOIN frame.audit_entries USING (sequence)
        WHERE position <> before + 1 OR audit_entries.id IS NULL
        """,
    ),
    Invariant(
        "I12",
        "each event of the record stands in the chain, or came after the last that does",
        _ENTRIES,
        """
        WITH horizon AS (
            SELECT transaction_id, sequence FROM frame.audit_seals JOIN frame.audit_entries USING (sequence)
            ORDER BY position DESC LIMIT 1
        )
        SELECT audit_entries.sequence FROM frame.audit_entries, horizon
        WHERE (audit_entries.transaction_id, audit_entries.sequence) <= (horizon.transaction_id, horizon.sequence)
            AND horizon.transaction_id < pg_snapshot_xmax(pg_current_snapshot())
            AND NOT EXISTS (SELECT FROM frame.audit_seals WHERE audit_seals.sequence = audit_entries.sequence)
        """,
    ),
)
