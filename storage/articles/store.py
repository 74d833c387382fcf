"""What articles reaches of what is kept: its own repositories, and the frame's."""

from typing import TypeAlias

from storage.articles.repository import (
    ArticleChangeReader,
    ArticleReader,
    ArticleRepository,
    RevisionReader,
    RevisionRepository,
    SearchReader,
    SearchRepository,
)
from storage.store import Store, StoreKind
from storage.transaction import Reading, Transaction, on_connection


class ArticlesReading(Reading):
    """What can be read of articles."""

    article_changes = on_connection(ArticleChangeReader)
    articles = on_connection(ArticleReader)
    revisions = on_connection(RevisionReader)
    search = on_connection(SearchReader)


class ArticlesTransaction(ArticlesReading, Transaction):
    """What can be read and changed of articles, all of it or nothing."""

    articles = on_connection(ArticleRepository)
    revisions = on_connection(RevisionRepository)
    search = on_connection(SearchRepository)


ARTICLES = StoreKind(ArticlesReading, ArticlesTransaction)
ArticlesStore: TypeAlias = Store[ArticlesReading, ArticlesTransaction]
