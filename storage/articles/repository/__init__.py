"""The only code that touches the tables of articles."""

from storage.articles.repository.articles import ArticleReader, ArticleRepository
from storage.articles.repository.changes import ArticleChangeReader
from storage.articles.repository.revisions import RevisionReader, RevisionRepository
from storage.articles.repository.search import SearchReader, SearchRepository

__all__ = [
    "ArticleChangeReader",
    "ArticleReader",
    "ArticleRepository",
    "RevisionReader",
    "RevisionRepository",
    "SearchReader",
    "SearchRepository",
]
