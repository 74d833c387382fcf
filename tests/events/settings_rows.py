"""What the tests of the settings are told of events."""

from tests.cli.settings_rows import Row

ROWS = {
    "BACKROOM_EVENTS_RETENTION_DAYS": Row("30", malformed=("-1", "4001", "a month")),
    "BACKROOM_EVENTS_AHEAD_MINUTES": Row("5", malformed=("-1", "525601")),
    "BACKROOM_EVENTS_DECLARED_ONLY": Row("true", read="True", malformed=("perhaps",)),
}
