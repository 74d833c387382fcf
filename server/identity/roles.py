"""The roles, and what each permits: the one table to read."""

from collections.abc import Iterable, Mapping

_BUY = {"catalog.read", "orders.place", "orders.read", "orders.cancel", "payments.create", "payments.read"}
_PLACE = {"orders.place_for", "orders.hold_more"}
_SELL = _BUY | _PLACE | {"orders.read_all", "orders.fulfill", "inventory.read", "inventory.adjust"}
_KEEP_SHOP = _SELL | {"catalog.write", "orders.set_price", "payments.refund", "webhooks.manage"}
_ASK_FLAGS = {"flags.evaluate", "flags.sync"}
_KEEP_FLAGS = _ASK_FLAGS | {"flags.read", "flags.write", "flags.switch_off", "flags.approve"}
_GOVERN = {"users.list", "access.manage", "audit.read"}

ROLES: Mapping[str, frozenset[str]] = {
    "customer": frozenset(_BUY),
    "staff": frozenset(_SELL),
    "manager": frozenset(_KEEP_SHOP | _KEEP_FLAGS | {"users.list"}),
    "service": frozenset(_KEEP_SHOP | _ASK_FLAGS),
    "admin": frozenset(_KEEP_SHOP | _KEEP_FLAGS | _GOVERN),
}

DESCRIPTIONS: Mapping[str, str] = {
    "customer": "Buys for itself: what everyone gets who registers.",
    "staff": "Sells: places, follows and fulfills the orders of others, and keeps the stock.",
    "manager": "Keeps the shop: products, prices, refunds and webhooks, and sees who its users are.",
    "service": "An internal service: what the shop's own software needs.",
    "admin": "Decides what others may do, and reads the record of what they did.",
}

PERMISSIONS = frozenset[str]().union(*ROLES.values())
"""Every permission that some role knows."""

ADMIN = "admin"
CUSTOMER = "customer"
SERVICE = "service"


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """What these roles permit together; a role that no longer exists permits nothing."""
    return frozenset[str]().union(*(ROLES.get(role, frozenset()) for role in roles))
