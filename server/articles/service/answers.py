"""The answers of articles that are kept for repeated requests."""

from dataclasses import dataclass

from server.articles.rules.links import PreviewLink
from server.frame.answers import AnswerKind
from storage.articles.records import ListedArticle


@dataclass(frozen=True, slots=True)
class ListedArticles:
    """Articles that were changed together."""

    articles: tuple[ListedArticle, ...]


ARTICLE = AnswerKind("articles.article", ListedArticle)
"""Without what its revision says, which is read again: that never changes."""
ARTICLES = AnswerKind("articles.articles", ListedArticles)
PREVIEW_LINK = AnswerKind("articles.preview_link", PreviewLink)
"""What the link permits, and not its signature."""
