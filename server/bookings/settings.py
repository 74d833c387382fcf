"""What is set for bookings: for how long a time is leased, and how much a customer may book ahead."""

from server.frame.settings import DeclaredSettings, setting


class BookingsSettings(DeclaredSettings):
    """The module `bookings`: leases, and how much one customer may book."""

    lease_seconds: int = setting(
        "BACKROOM_LEASE_SECONDS",
        900,
        "for how long a customer may lease a time before it confirms the booking; longer needs `bookings.hold_more`",
        ge=1,
        le=604_800,
    )
    max_bookings_ahead: int = setting(
        "BACKROOM_MAX_BOOKINGS_AHEAD",
        100,
        "how many bookings that have not begun a customer may have, without `bookings.hold_more`",
        ge=1,
        le=1_000_000,
    )
