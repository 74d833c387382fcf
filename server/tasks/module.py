"""tasks, put together."""

from server.frame.module import Manifest, Module, Service, Shared
from server.frame.personal_data import DeclaredPersonalData, PersonalData
from server.tasks.permissions import PERMISSIONS
from server.tasks.rules.history import EVENT_TYPES
from storage.database import Database

_ONE_BY_ONE = 16
"""How many tasks are placed in one transaction: each takes some statements of its own."""


def build(shared: Shared, _: object) -> Module:
    """Imports what it is made of here: a process that does not serve tasks has neither its code nor its contract."""
    from backroom.tasks.v1 import task_service_pb2, task_service_pb2_grpc
    from server.frame.batching import Batcher
    from server.frame.message_cache import MessageCache
    from server.tasks.jobs import jobs
    from server.tasks.messages.tasks import listed_task
    from server.tasks.rules.editing import EditTask, MakeTask
    from server.tasks.service import Editing, Making, Moving, Notes, Projects, RecurringTasks, SavedFilters, Tasks
    from server.tasks.service.moving import MoveTask
    from server.tasks.service.notes import COMMENTS, TIME_ENTRIES
    from server.tasks.service.reading import ReadTask
    from server.tasks.servicer import TaskServicer, UseCases
    from storage.tasks.records import Task
    from storage.tasks.store import TASKS

    store, now, new_id = shared.database.store(TASKS), shared.now, shared.new_id
    making, editing = Making(store, now, new_id), Editing(store, now, new_id)
    tasks = Tasks(store, now, MessageCache[Task](listed_task))
    moving, longest = Moving(store, now, new_id), shared.database.limits.answer
    creating = Batcher[MakeTask, Task](making.create, largest=_ONE_BY_ONE, longest_seconds=longest)
    updating = Batcher[EditTask, Task](editing.edit, longest_seconds=longest)
    reading = Batcher[ReadTask, Task](tasks.read, longest_seconds=longest)
    arranging = Batcher[MoveTask, Task](moving.move, largest=_ONE_BY_ONE, longest_seconds=longest)
    recurring_tasks = RecurringTasks(store, now, new_id, making)
    servicer = TaskServicer(
        UseCases(
            projects=Projects(store, now, new_id, shared.authentication.permissions_of),
            making=creating,
            editing=editing,
            updating=updating,
            moving=arranging,
            transferring=moving,
            reading=reading,
            tasks=tasks,
            comments=Notes(store, now, new_id, COMMENTS),
            time_entries=Notes(store, now, new_id, TIME_ENTRIES),
            saved_filters=SavedFilters(store, now, new_id),
            recurring_tasks=recurring_tasks,
        )
    )
    return Module(
        services=(Service(task_service_pb2, task_service_pb2_grpc, servicer),),
        tasks=jobs(recurring_tasks),
        batchers=(creating, updating, arranging, reading, tasks.seeing),
        feeds=(tasks.feed,),
    )


def personal_data(database: Database) -> PersonalData:
    from storage.tasks.personal_data import PERSONAL_DATA
    from storage.tasks.store import TASKS

    return DeclaredPersonalData(database.store(TASKS), PERSONAL_DATA)


MANIFEST = Manifest(
    name="tasks", build=build, permissions=PERMISSIONS, event_types=EVENT_TYPES, personal_data=personal_data
)
