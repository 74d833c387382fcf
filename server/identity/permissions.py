"""identity's permissions, and the built-in roles; each module says of its permissions which roles grant them."""

from collections.abc import Mapping, Sequence

from server.frame.permissions import Permission

CUSTOMER = "customer"
ADMIN = "admin"

ROLES: Mapping[str, str] = {
    CUSTOMER: "Buys for itself: what everyone gets who registers.",
    "staff": "Sells: places, follows and fulfills the orders of others, and keeps the stock.",
    "manager": "Keeps the shop: products, prices, refunds and webhooks, and sees who its users are.",
    "service": "An internal service: what the shop's own software needs.",
    ADMIN: "Decides what others may do, and reads the record of what they did.",
}

PERMISSIONS: Sequence[Permission] = (
    Permission("users.list", "Sees who the users are, and which roles they have.", ("manager", ADMIN)),
    Permission(
        "access.manage",
        "Grants and revokes roles, makes roles, service accounts and their keys, and disables accounts.",
        (ADMIN,),
    ),
    Permission("accounts.manage", "Sets the handles of others, and deletes their accounts.", (ADMIN,)),
    Permission("accounts.export", "Gets all that is stored of another person.", (ADMIN,)),
    Permission("audit.read", "Reads the record of who changed what, and has it verified.", (ADMIN,)),
)
