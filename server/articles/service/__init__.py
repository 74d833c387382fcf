"""The use cases of articles; each public method is one transaction."""

from server.articles.service.previews import Previews
from server.articles.service.publishing import Publishing
from server.articles.service.reading import Articles
from server.articles.service.reviewing import Reviewing
from server.articles.service.writing import Writing

__all__ = ["Articles", "Previews", "Publishing", "Reviewing", "Writing"]
