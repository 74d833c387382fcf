"""The use cases of tasks; each public method is one transaction."""

from server.tasks.service.editing import Editing
from server.tasks.service.making import Making
from server.tasks.service.moving import Moving
from server.tasks.service.notes import Notes
from server.tasks.service.projects import Projects
from server.tasks.service.reading import Tasks
from server.tasks.service.recurring_tasks import RecurringTasks
from server.tasks.service.saved_filters import SavedFilters

__all__ = ["Editing", "Making", "Moving", "Notes", "Projects", "RecurringTasks", "SavedFilters", "Tasks"]
