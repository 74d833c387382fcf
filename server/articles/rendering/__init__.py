"""Work on texts that may take long, in processes of their own: rendering Markdown, and comparing revisions."""

from server.articles.rendering.processes import Processes
from server.articles.rendering.work import TooCostly

__all__ = ["Processes", "TooCostly"]
