"""The roles, and what each permits: the one table to read."""

from collections.abc import Iterable, Mapping

_BUY = {"catalog.read", "orders.place", "orders.read", "orders.cancel", "payments.create", "payments.read"}
_SELL = _BUY | {"orders.read_all", "orders.place_for", "orders.fulfil", "inventory.read", "inventory.adjust"}
_KEEP_SHOP = _SELL | {"catalog.write", "orders.set_price", "payments.refund", "webhooks.manage"}
_GOVERN = {"users.list", "access.manage", "audit.read"}

ROLES: Mapping[str, frozenset[str]] = {
    "customer": frozenset(_BUY),
    "staff": frozenset(_SELL),
    "manager": frozenset(_KEEP_SHOP | {"users.list"}),
    "service": frozenset(_KEEP_SHOP),
    "admin": frozenset(_KEEP_SHOP | _GOVERN),
}

PERMISSIONS = frozenset[str]().union(*ROLES.values())
"""Every permission that some role knows."""

ADMIN = "admin"
CUSTOMER = "customer"
SERVICE = "service"


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """What these roles permit together; a role that no longer exists permits nothing."""
    return frozenset[str]().union(*(ROLES.get(role, frozenset()) for role in roles))
