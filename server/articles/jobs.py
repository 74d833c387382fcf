"""articles' work behind the answers."""

from collections.abc import Sequence

from server.articles.service import Publishing
from server.articles.service.publishing import PUBLISH_DUE
from server.frame.jobs import Task


def tasks(publishing: Publishing) -> Sequence[Task]:
    async def publish_due() -> None:
        await publishing.publish_due()

    # Readers see an article within seconds of its time; what was due while no worker ran, as soon as one does.
    return (Task(PUBLISH_DUE, publish_due, every="* * * * * *"),)
