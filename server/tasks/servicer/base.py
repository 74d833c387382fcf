from dataclasses import dataclass

from server.frame.batching import Batcher
from server.tasks.rules.editing import EditTask, MakeTask
from server.tasks.service import Editing, Moving, Notes, Projects, RecurringTasks, SavedFilters, Tasks
from server.tasks.service.moving import MoveTask
from server.tasks.service.reading import ReadTask
from storage.tasks.records import Comment, Task, TimeEntry


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the methods of the service stand on."""

    projects: Projects
    making: Batcher[MakeTask, Task]
    editing: Editing
    updating: Batcher[EditTask, Task]
    moving: Batcher[MoveTask, Task]
    transferring: Moving
    reading: Batcher[ReadTask, Task]
    tasks: Tasks
    comments: Notes[Comment]
    time_entries: Notes[TimeEntry]
    saved_filters: SavedFilters
    recurring_tasks: RecurringTasks


class Methods:
    """Some methods of the service."""

    def __init__(self, use: UseCases) -> None:
        self._use = use
