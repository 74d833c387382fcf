"""What the tests of the settings are told of commerce."""

from tests.cli.settings_rows import Row

ROWS = {
    "BACKROOM_HOLD_SECONDS": Row("60", read="60.0", malformed=("0", "2592001", "soon")),
    "BACKROOM_MAX_UNPAID_ORDERS": Row("5", malformed=("0", "1000001", "many")),
    "BACKROOM_MAX_HELD_PIECES": Row("5000", malformed=("0", "many")),
    "BACKROOM_PAYMENT_PROVIDER": Row("stripe", malformed=("paypal",)),
    "BACKROOM_STRIPE_KEY": Row("sk_test_x"),
    "BACKROOM_SANDBOX_URL": Row("http://localhost:8090"),
    "BACKROOM_SANDBOX_KEY": Row("sk_x"),
}
