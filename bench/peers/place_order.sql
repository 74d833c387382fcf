-- One order of one product, as Backroom places it: the same rows in the same order, in one transaction.
-- What a client would compute by itself, such as digests, comes as a variable, so that the server need not.

BEGIN;

-- The claim of the request, and with it the order's id, which is the answer to remember.
INSERT INTO frame.request_ids (caller_id, request_id, digest, answer)
VALUES (:caller, gen_random_uuid(), :digest, uuidv7()::text)
ON CONFLICT DO NOTHING
RETURNING answer AS order_id
\gset

SELECT stock.product_id, products.price, products.currency, products.archived, stock.on_hand, stock.held
FROM commerce.stock JOIN commerce.products ON products.id = stock.product_id
WHERE products.sku = :sku
ORDER BY stock.product_id
FOR UPDATE OF stock
\gset

\set held_after :held + 1

\if :held_after <= :on_hand and not :archived

INSERT INTO commerce.orders (
    id, reference, customer_id, placed_by, state, line_count, unit_count, total, currency, cancel_reason,
    create_time, update_time, hold_end_time
) VALUES (
    :order_id, NULL, :caller_text, :caller, 'pending', 1, 1, :price, :currency, '',
    now(), now(), now() + interval '1 day'
);

INSERT INTO commerce.order_lines (order_id, position, product_id, quantity, unit_price)
VALUES (:order_id, 0, :product_id, 1, :price);

INSERT INTO commerce.stock_movements (
    product_id, reason, on_hand_delta, held_delta, on_hand_after, held_after, order_id, note, account_id, create_time
) VALUES (:product_id, 'held', 0, 1, :on_hand, :held_after, :order_id, '', :caller, now());

UPDATE commerce.stock SET on_hand = :on_hand, held = :held_after WHERE product_id = :product_id;

INSERT INTO frame.events (type, subject_id, data, create_time) VALUES (
    'order.placed', :order_id,
    format(
        '{"order_id": "%s", "reference": "", "customer_id": "%s", "placed_by": "%2$s", "state": "pending", '
        '"line_count": 1, "unit_count": 1, "total": {"amount": "%s", "currency": "%s"}, "cancel_reason": "", '
        '"create_time": "%s", "update_time": "%5$s"}',
        :order_id::text, :caller_text::text, :price::text, :currency::text, now()
    ),
    now()
);

INSERT INTO frame.audit_entries (
    create_time, caller_id, action, resource, address, call_id, result, id, key_id, mac
) VALUES (
    now(), :caller, 'backroom.commerce.v1.OrderService/PlaceOrder', 'order/' || :order_id::text, :address, :call_id,
    'OK', uuidv7(), :key_id, :mac
);

\endif

END;
