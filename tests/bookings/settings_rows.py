"""What the tests of the settings are told of bookings."""

from tests.cli.settings_rows import Row

ROWS = {
    "BACKROOM_LEASE_SECONDS": Row("60", malformed=("0", "604801", "soon")),
    "BACKROOM_MAX_BOOKINGS_AHEAD": Row("5", malformed=("0", "1000001", "many")),
}
