"""Work on texts that may take long, in processes of their own: rendering Markdown, and comparing revisions."""

from collections.abc import Sequence

from server.articles.rendering.comparing import Hunk
from server.articles.rendering.work import (
    Rendered,
    TooCostly,
    compare_answer,
    compare_request,
    render_answer,
    render_request,
)
from server.frame.processes import Processes

__all__ = ["Rendering", "TooCostly"]


class Rendering:
    """Works on texts in the frame's processes."""

    def __init__(self) -> None:
        self.processes = Processes("server.articles.rendering")

    async def render(self, content: str) -> Rendered:
        """The HTML and the text of Markdown; raises TooCostly, Overloaded."""
        return render_answer(await self.processes.ask(render_request(content)))

    async def compare(self, before: str, after: str) -> Sequence[Hunk]:
        """Where two texts differ; all their lines where to find that out takes too long. Raises Overloaded."""
        return compare_answer(await self.processes.ask(compare_request(before, after)), before, after)
