"""What is set for articles: whether they are reviewed before they are published, and where readers find them."""

import re

from pydantic import field_validator

from server.frame.settings import DeclaredSettings, setting

_URL = re.compile(r"https?://[^\s/?#\"'<>]+(/[^\s?#\"'<>]*)?")


class ArticlesSettings(DeclaredSettings):
    """The module `articles`: reviews, and the addresses in the feed and the sitemap."""

    articles_review: bool = setting(
        "BACKROOM_ARTICLES_REVIEW",
        False,
        "whether a revision must be approved by another account before it is published or scheduled",
    )
    articles_url: str = setting(
        "BACKROOM_ARTICLES_URL",
        "http://localhost:8080",
        "where readers reach this server's HTTP side, as the feed, the sitemap and pages of articles name it",
    )
    articles_title: str = setting(
        "BACKROOM_ARTICLES_TITLE", "Articles", "what the feed is called", min_length=1, max_length=200
    )

    @field_validator("articles_url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        if not _URL.fullmatch(url):
            raise ValueError("must be an address such as https://www.example.com, without a query")
        return url.rstrip("/")
