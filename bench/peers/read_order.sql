-- One order with its line, by the two statements that a GetOrder takes; \gset fails where one of them finds nothing.

SELECT * FROM commerce.orders WHERE id = :order_id
\gset found_

SELECT order_lines.order_id, products.id AS product_id, products.sku, order_lines.quantity, order_lines.unit_price
FROM commerce.order_lines JOIN commerce.products ON products.id = order_lines.product_id
WHERE order_lines.order_id = :order_id
ORDER BY order_lines.order_id, order_lines.position
\gset found_
