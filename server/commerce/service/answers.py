"""The answers of commerce that are kept for repeated requests."""

from uuid import UUID

from server.commerce.rules.catalog import ImportCount
from server.frame.answers import AnswerKind
from storage.commerce.records import Order, Payment, Product, StockLevel

PRODUCT = AnswerKind("commerce.product", Product)
IMPORT_COUNT = AnswerKind("commerce.import_count", ImportCount)
LEVEL = AnswerKind("commerce.level", StockLevel)
ORDER = AnswerKind("commerce.order", Order)
PLACED_ORDER = AnswerKind("commerce.placed_order", UUID, upgrades={0: str})
"""The id alone, since all that placing answers is immutable; version 0 was the bare id, without JSON's quotes.

The law I8 of `storage.commerce.laws` reads it, too.
"""
PAYMENT = AnswerKind("commerce.payment", Payment)
