"""What tasks reaches of what is kept: its own repositories, and the frame's."""

from typing import TypeAlias

from storage.store import Store, StoreKind
from storage.tasks.repository import (
    ActivityReader,
    ActivityRepository,
    CommentReader,
    CommentRepository,
    LinkRepository,
    ProjectReader,
    ProjectRepository,
    RankRepository,
    RecurringTaskReader,
    RecurringTaskRepository,
    SavedFilterReader,
    SavedFilterRepository,
    TaskChangeReader,
    TaskReader,
    TaskRepository,
    TimeEntryReader,
    TimeEntryRepository,
)
from storage.transaction import Reading, Transaction, on_connection


class TasksReading(Reading):
    """What can be read of tasks."""

    activities = on_connection(ActivityReader)
    comments = on_connection(CommentReader)
    projects = on_connection(ProjectReader)
    recurring_tasks = on_connection(RecurringTaskReader)
    saved_filters = on_connection(SavedFilterReader)
    task_changes = on_connection(TaskChangeReader)
    tasks = on_connection(TaskReader)
    time_entries = on_connection(TimeEntryReader)


class TasksTransaction(TasksReading, Transaction):
    """What can be read and changed of tasks, all of it or nothing."""

    activities = on_connection(ActivityRepository)
    comments = on_connection(CommentRepository)
    links = on_connection(LinkRepository)
    projects = on_connection(ProjectRepository)
    ranks = on_connection(RankRepository)
    recurring_tasks = on_connection(RecurringTaskRepository)
    saved_filters = on_connection(SavedFilterRepository)
    tasks = on_connection(TaskRepository)
    time_entries = on_connection(TimeEntryRepository)


TASKS = StoreKind(TasksReading, TasksTransaction)
TasksStore: TypeAlias = Store[TasksReading, TasksTransaction]
