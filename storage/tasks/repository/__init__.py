"""The only code that touches the tables of tasks."""

from storage.tasks.repository.activities import ActivityReader, ActivityRepository
from storage.tasks.repository.changes import TaskChangeReader
from storage.tasks.repository.links import LinkRepository
from storage.tasks.repository.notes import CommentReader, CommentRepository, TimeEntryReader, TimeEntryRepository
from storage.tasks.repository.projects import ProjectReader, ProjectRepository
from storage.tasks.repository.ranks import RankRepository
from storage.tasks.repository.recurring_tasks import RecurringTaskReader, RecurringTaskRepository
from storage.tasks.repository.saved_filters import SavedFilterReader, SavedFilterRepository
from storage.tasks.repository.tasks import TaskReader, TaskRepository

__all__ = [
    "ActivityReader",
    "ActivityRepository",
    "CommentReader",
    "CommentRepository",
    "LinkRepository",
    "ProjectReader",
    "ProjectRepository",
    "RankRepository",
    "RecurringTaskReader",
    "RecurringTaskRepository",
    "SavedFilterReader",
    "SavedFilterRepository",
    "TaskChangeReader",
    "TaskReader",
    "TaskRepository",
    "TimeEntryReader",
    "TimeEntryRepository",
]
