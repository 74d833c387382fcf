"""webhooks' work behind the answers."""

from collections.abc import Sequence

from server.frame.jobs import Task
from server.webhooks.service.inbox import REPUBLISH, Inbox


def inbox_tasks(inbox: Inbox) -> Sequence[Task]:
    return (
        Task(REPUBLISH, inbox.republish),
        Task("webhooks.purge_received", inbox.purge, every="37 * * * * 0"),
    )
