-- One product by its SKU, by the statement that a GetProduct takes; \gset fails where it finds nothing.

SELECT * FROM commerce.products WHERE sku = :sku
\gset found_
