"""bookings' permissions, and the built-in roles that grant each."""

from collections.abc import Sequence

from server.frame.permissions import Permission

_KEEPERS = ("manager", "service", "admin")
_SELLERS = ("staff", *_KEEPERS)
_BUYERS = ("customer", *_SELLERS)

PERMISSIONS: Sequence[Permission] = (
    Permission("bookings.browse", "Reads what can be booked, and when it is free.", _BUYERS),
    Permission(
        "bookings.book",
        "Books for the account itself, and confirms, reschedules and cancels bookings that the account can read.",
        _BUYERS,
    ),
    Permission("bookings.read", "Reads and watches the account's own bookings.", _BUYERS),
    Permission("bookings.book_for", "Books for another customer, and reads those bookings.", _SELLERS),
    Permission(
        "bookings.hold_more",
        "Leases a time for longer, and has more bookings ahead, than a customer may.",
        _SELLERS,
    ),
    Permission("bookings.ignore_cutoff", "Reschedules and cancels bookings however soon they begin.", _SELLERS),
    Permission("bookings.read_all", "Reads everyone's bookings, and not the account's own alone.", _SELLERS),
    Permission("bookings.share_calendar", "Makes and revokes links to calendars that need no account.", _SELLERS),
    Permission("bookings.keep_resources", "Makes and changes what can be booked.", _KEEPERS),
)
