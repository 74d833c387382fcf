"""What must hold of what commerce keeps: the stock, orders, payments, and the jobs that go on with them."""

from collections.abc import Sequence

from storage.commerce.records import PAYMENT_SOURCES
from storage.laws import Law

_PRODUCTS = "SELECT count(*) FROM commerce.products"
_ORDERS = "SELECT count(*) FROM commerce.orders"
_PAYMENTS = "SELECT count(*) FROM commerce.payments"
_REQUESTS = "SELECT count(*) FROM frame.request_ids"

_STOCK_ITEMS = "commerce.products JOIN commerce.stock ON stock.product_id = products.id"
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
"""What the stock ledger says of each order and product, next to what was ordered."""

_SOURCES = ", ".join(f"'{source}'" for source in PAYMENT_SOURCES)
_PROVIDERS_EVENTS = f"SELECT * FROM frame.inbox WHERE source IN ({_SOURCES})"
_OPEN = f"""
    SELECT 'commerce.take_payment_event' AS task, source || ' ' || event_id AS subject
        FROM ({_PROVIDERS_EVENTS}) AS told WHERE process_time IS NULL
    UNION ALL SELECT 'commerce.pay', id::text FROM commerce.payments
        WHERE state = 'authorized' OR (state = 'pending' AND provider_id IS NULL)
    UNION ALL SELECT 'commerce.refund', id::text FROM commerce.refunds
        WHERE state = 'pending' AND provider_id IS NULL
"""
"""What a job is to go on with, by the job's task."""
_QUEUED = """
    SELECT task_name, coalesce(args ->> 'payment_id', args ->> 'refund_id',
        (args ->> 'source') || ' ' || (args ->> 'event_id')) FROM procrastinate_jobs WHERE status <> 'succeeded'
"""

LAWS: Sequence[Law] = (
    Law(
        "I1",
        "of each product, what came in is what is available, reserved, sold and written off",
        _PRODUCTS,
        f"""
        SELECT sku FROM {_STOCK_ITEMS} LEFT JOIN (
            SELECT product_id,
                sum(on_hand_delta) FILTER (WHERE reason IN ('received', 'returned', 'corrected')) AS came,
                -sum(on_hand_delta) FILTER (WHERE reason = 'sold') AS sold,
                -sum(on_hand_delta) FILTER (WHERE reason = 'written_off') AS lost
            FROM commerce.stock_movements GROUP BY product_id
        ) AS ledger USING (product_id)
        WHERE coalesce(came, 0) <> (on_hand - held) + held + coalesce(sold, 0) + coalesce(lost, 0)
        """,
    ),
    Law(
        "I2",
        "the stock movements of each product fold to its balance, step by step",
        _PRODUCTS,
        f"""
        SELECT DISTINCT sku FROM {_STOCK_ITEMS} LEFT JOIN (
            SELECT product_id, on_hand_after, held_after, sum(on_hand_delta) OVER ledger AS on_hand_sum,
                sum(held_delta) OVER ledger AS held_sum, lead(sequence) OVER ledger IS NULL AS last
            FROM commerce.stock_movements WINDOW ledger AS (PARTITION BY product_id ORDER BY sequence)
        ) AS step USING (product_id)
        WHERE (on_hand_after, held_after) IS DISTINCT FROM (on_hand_sum, held_sum)
            OR (last IS NOT false AND on_hand <> coalesce(on_hand_sum, 0))
            OR (last IS NOT false AND held <> coalesce(held_sum, 0))
        """,
    ),
    Law(
        "I3",
        "what is available, reserved and sold is never negative",
        _PRODUCTS,
        f"""
        SELECT sku FROM {_STOCK_ITEMS} WHERE held < 0 OR on_hand < held
        UNION SELECT sku FROM commerce.products JOIN commerce.stock_movements ON product_id = products.id
            WHERE held_after < 0 OR on_hand_after < held_after
        """,
    ),
    Law(
        "I4",
        "of each product, what pending orders reserve is what is reserved",
        _PRODUCTS,
        f"""
        SELECT sku FROM {_STOCK_ITEMS} LEFT JOIN (
            SELECT product_id, sum(pieces) AS held FROM ({_PIECES}) AS ordered
            JOIN commerce.orders ON orders.id = order_id WHERE state = 'pending' GROUP BY product_id
        ) AS pending USING (product_id) WHERE stock.held <> coalesce(pending.held, 0)
        """,
    ),
    Law(
        "I4",
        "no order reserves its stock 5 seconds past its time",
        _ORDERS,
        "SELECT id FROM commerce.orders WHERE state = 'pending' AND hold_end_time < now() - interval '5 seconds'",
    ),
    Law(
        "I5",
        "each reservation is resolved at most once: sold, released or expired, as the order's state says",
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
    Law(
        "I6",
        "each order is there whole: its counts and its total are those of its lines together",
        _ORDERS,
        """
        SELECT orders.id FROM commerce.orders LEFT JOIN commerce.order_lines ON order_id = orders.id GROUP BY orders.id
        HAVING count(order_id) <> line_count OR coalesce(sum(quantity), 0) <> unit_count
            OR coalesce(sum(quantity * unit_price), 0) <> total
        """,
    ),
    Law(
        "I6",
        "each order has one event that it was placed",
        _ORDERS,
        """
        SELECT id FROM commerce.orders LEFT JOIN (
            SELECT subject_id, count(*) AS told FROM frame.events WHERE type = 'order.placed' GROUP BY subject_id
        ) AS placed ON subject_id = id
        WHERE coalesce(told, 0) <> 1 AND orders.create_time > (SELECT min(create_time) FROM frame.events)
        """,
    ),
    Law(
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
    Law(
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
    Law(
        "I8",
        "each order that a request placed is there, and is no other request's",
        _REQUESTS,
        r"""
        SELECT min(request_id::text) FROM frame.request_ids
        LEFT JOIN commerce.orders ON placed_by = caller_id
            AND orders.id = substring(answer FROM '[0-9a-f]{8}(?:-[0-9a-f]{4}){4}[0-9a-f]{8}')::uuid
        WHERE answer ~ '^(commerce\.placed_order/1 ")?[0-9a-f]{8}(-[0-9a-f]{4}){4}[0-9a-f]{8}"?$'
        GROUP BY substring(answer FROM '[0-9a-f-]{36}') HAVING count(*) > 1 OR count(orders.id) = 0
        """,
    ),
    Law(
        "I10",
        "each job that payments, refunds and their providers' events wait for has run, or is in the queue",
        f"SELECT (SELECT count(*) FROM ({_PROVIDERS_EVENTS}) AS told) + (SELECT count(*) FROM commerce.payments)"
        " + (SELECT count(*) FROM commerce.refunds)",
        f"SELECT task || ' ' || subject FROM ({_OPEN} EXCEPT {_QUEUED}) AS lost",
    ),
)
