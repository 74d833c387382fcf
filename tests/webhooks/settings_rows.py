"""What the tests of the settings are told of webhooks."""

from tests.cli.settings_rows import Row

ROWS = {
    "BACKROOM_WEBHOOK_SOURCES": Row(
        '{"hub":{"scheme":"github","secrets":["x"]}}',
        read="(Source(name='hub', scheme='github'),)",
        malformed=("hunter2", '{"a":{"scheme":"standard","secrets":["hunter2"]}}'),
    ),
    "BACKROOM_SANDBOX_WEBHOOK_SECRET": Row("whsec_eHh4eA==", malformed=("hunter2", "whsec_", "whsec_hunter2!")),
    "BACKROOM_WEBHOOK_ALLOWED_NETWORKS": Row(
        "127.0.0.1/32", read="(IPv4Network('127.0.0.1/32'),)", malformed=("localhost", "10.0.0.0/33")
    ),
}
