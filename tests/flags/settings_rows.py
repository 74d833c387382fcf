"""What the tests of the settings are told of flags."""

from tests.cli.settings_rows import Row

ROWS = {
    "BACKROOM_FLAGS_OPEN_TO": Row(
        "10.0.0.0/8", read="(IPv4Network('10.0.0.0/8'),)", malformed=("localhost", "10.0.0.0/33")
    ),
    "BACKROOM_FLAGS_FRACTIONAL": Row("V2", read="v2", malformed=("v4",)),
    "BACKROOM_FLAGS_APPROVAL": Row("true", read="True", malformed=("perhaps",)),
    "BACKROOM_FLAGS_EXPOSURES": Row("true", read="True", malformed=("perhaps",)),
    "BACKROOM_FLAGD_ADDRESS": Row("127.0.0.1:8013", malformed=("8013",)),
    "BACKROOM_FLAGD_SYNC_ADDRESS": Row("[::1]:8015", malformed=("[::1]",)),
    "BACKROOM_FLAGS_CORS_ORIGINS": Row(
        "https://shop.example.com , http://localhost:3000",
        read="('https://shop.example.com', 'http://localhost:3000')",
        malformed=("shop.example.com",),
    ),
    "BACKROOM_OFREP_CALLS_PER_SECOND": Row("7.5", malformed=("-1", "nan")),
}
