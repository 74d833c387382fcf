"""commerce's permissions, and the built-in roles that hold each."""

from collections.abc import Sequence

from server.frame.permissions import Permission

_KEEPERS = ("manager", "service", "admin")
_SELLERS = ("staff", *_KEEPERS)
_BUYERS = ("customer", *_SELLERS)

PERMISSIONS: Sequence[Permission] = (
    Permission("catalog.read", "Reads products and their prices.", _BUYERS),
    Permission("catalog.write", "Makes, changes, archives and imports products.", _KEEPERS),
    Permission("inventory.read", "Sees how much there is of a product, and each movement of its stock.", _SELLERS),
    Permission("inventory.adjust", "Books stock in and out.", _SELLERS),
    Permission("orders.place", "Places orders for the account itself.", _BUYERS),
    Permission("orders.read", "Reads and watches the account's own orders.", _BUYERS),
    Permission("orders.cancel", "Cancels orders that the account can read.", _BUYERS),
    Permission("orders.place_for", "Places orders for another customer, and reads those that it placed.", _SELLERS),
    Permission(
        "orders.hold_more",
        "Places orders that hold their stock for longer, and more unpaid ones, than a customer may.",
        _SELLERS,
    ),
    Permission("orders.read_all", "Reads everyone's orders and payments, and not the account's own alone.", _SELLERS),
    Permission("orders.set_price", "Places orders at a price of its own, beside the catalog's.", _KEEPERS),
    Permission("orders.fulfill", "Marks paid orders as handed over.", _SELLERS),
    Permission("payments.create", "Begins and confirms payments of orders that the account can read.", _BUYERS),
    Permission("payments.read", "Reads payments of orders that the account can read.", _BUYERS),
    Permission("payments.refund", "Pays back payments, whole or in part.", _KEEPERS),
)
