"""What the tests of the settings are told of articles."""

from tests.cli.settings_rows import Row

ROWS = {
    "BACKROOM_ARTICLES_REVIEW": Row("true", read="True", malformed=("perhaps",)),
    "BACKROOM_ARTICLES_URL": Row(
        "https://www.example.com/", read="https://www.example.com", malformed=("example.com", "https://a/?b")
    ),
    "BACKROOM_ARTICLES_TITLE": Row("News", malformed=("x" * 201,)),
}
