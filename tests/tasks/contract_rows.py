"""What the tests of the contract are told of tasks."""

from collections.abc import Mapping
from typing import Any

from backroom.tasks.v1 import notes_pb2, projects_pb2, tasks_pb2
from backroom.tasks.v1 import task_service_pb2 as pb
from tests.commerce.goods import raw
from tests.contract.rows import ContractRows
from tests.contract.scenario import Scenario, fresh
from tests.fixtures.servers import Api, Running
from tests.tasks.calling import a_key, comment, listed, project, rid, task, update, worked


async def keep_projects(scenario: Scenario) -> None:
    """A project, its members, and what is recurring in it."""
    admin, of_project = scenario.admin, "project/{answer.project.project_id}"
    sent = projects_pb2.Project(key=a_key(), name="Web")
    created = await scenario.change(
        admin, "CreateProject", pb.CreateProjectRequest(request_id=fresh(), project=sent), of_project
    )
    project_id = created.project.project_id
    change = projects_pb2.Project(project_id=project_id, name="Site")
    await scenario.change(
        admin, "UpdateProject", pb.UpdateProjectRequest(request_id=fresh(), project=change), of_project
    )
    other = await scenario.shop.server.sign_in("customer")
    of_member = {"project_id": project_id, "account_id": str(other.account_id)}
    setting = pb.SetMemberRequest(request_id=fresh(), role=projects_pb2.PROJECT_ROLE_EDITOR, **of_member)
    await scenario.change(admin, "SetMember", setting, f"project/{project_id}")
    removing = pb.RemoveMemberRequest(request_id=fresh(), **of_member)
    await scenario.change(admin, "RemoveMember", removing, f"project/{project_id}")
    recurring = _recurring(project_id)
    making = pb.CreateRecurringTaskRequest(request_id=fresh(), recurring_task=recurring)
    one = "recurring_task/{answer.recurring_task.recurring_task_id}"
    made = (await scenario.change(admin, "CreateRecurringTask", making, one)).recurring_task
    changed = tasks_pb2.RecurringTask(recurring_task_id=made.recurring_task_id, title="Weekly")
    changing = pb.UpdateRecurringTaskRequest(request_id=fresh(), recurring_task=changed)
    await scenario.change(admin, "UpdateRecurringTask", changing, one)
    deleting = pb.DeleteRecurringTaskRequest(request_id=fresh(), recurring_task_id=made.recurring_task_id)
    await scenario.change(admin, "DeleteRecurringTask", deleting, f"recurring_task/{made.recurring_task_id}")


async def work(scenario: Scenario) -> None:
    """Tasks, from the first to the last change."""
    admin, one = scenario.admin, "task/{answer.task.task_id}"
    here, there = [(await project(admin)).project_id for _ in range(2)]
    sent = tasks_pb2.Task(project_id=here, title="Task")
    creating = pb.CreateTaskRequest(request_id=fresh(), task=sent)
    task_id = (await scenario.change(admin, "CreateTask", creating, one)).task.task_id
    await scenario.change(admin, "UpdateTask", update(task_id, title="New"), one)
    batch = pb.BatchUpdateTasksRequest(request_id=fresh(), requests=[update(task_id, title="Newer")])
    batch.requests[0].request_id = ""
    await scenario.change(admin, "BatchUpdateTasks", batch, f"task/{task_id}")
    moving = pb.MoveTaskRequest(
        request_id=fresh(), task_id=task_id, state=tasks_pb2.TASK_STATE_DONE, edge=tasks_pb2.EDGE_FIRST
    )
    await scenario.change(admin, "MoveTask", moving, one)
    transfer = pb.TransferTaskRequest(request_id=fresh(), task_id=task_id, project_id=there)
    await scenario.change(admin, "TransferTask", transfer, one)
    await _note(scenario, task_id, "Comment", "comment", notes_pb2.Comment, {"text": "Well."}, {"text": "Hm."})
    start = {"start_time": {"seconds": 1_700_000_000}}
    await _note(
        scenario, task_id, "TimeEntry", "time_entry", notes_pb2.TimeEntry, {"minutes": 5, **start}, {"minutes": 6}
    )


async def _note(
    scenario: Scenario, task_id: str, name: str, noun: str, kind: Any, values: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    admin, one = scenario.admin, f"{noun}/{{answer.{noun}.{noun}_id}}"
    requests = [getattr(pb, f"{verb}{name}Request") for verb in ("Create", "Update", "Delete")]
    creating = requests[0](request_id=fresh(), **{noun: kind(task_id=task_id, **values)})
    made = getattr(await scenario.change(admin, f"Create{name}", creating, one), noun)
    named = {f"{noun}_id": getattr(made, f"{noun}_id")}
    updating = requests[1](request_id=fresh(), **{noun: kind(**named, **new)})
    await scenario.change(admin, f"Update{name}", updating, one)
    deleting = requests[2](request_id=fresh(), **named)
    await scenario.change(admin, f"Delete{name}", deleting, f"{noun}/{named[f'{noun}_id']}")


async def save_filters(scenario: Scenario) -> None:
    """A filter, from the first to the last change."""
    admin, one = scenario.admin, "saved_filter/{answer.saved_filter.saved_filter_id}"
    creating = pb.CreateSavedFilterRequest(request_id=fresh(), saved_filter=tasks_pb2.SavedFilter(name="Mine"))
    made = (await scenario.change(admin, "CreateSavedFilter", creating, one)).saved_filter
    changed = tasks_pb2.SavedFilter(saved_filter_id=made.saved_filter_id, name="Ours")
    updating = pb.UpdateSavedFilterRequest(request_id=fresh(), saved_filter=changed)
    await scenario.change(admin, "UpdateSavedFilter", updating, one)
    deleting = pb.DeleteSavedFilterRequest(request_id=fresh(), saved_filter_id=made.saved_filter_id)
    await scenario.change(admin, "DeleteSavedFilter", deleting, f"saved_filter/{made.saved_filter_id}")


def _recurring(project_id: str) -> tasks_pb2.RecurringTask:
    return tasks_pb2.RecurringTask(
        project_id=project_id, title="Daily", rule="FREQ=DAILY", local_start="2026-01-01T09:00", time_zone="UTC"
    )


async def owned(_server: Running, owner: Api) -> Mapping[str, str]:
    """A project with a task, and what belongs to it."""
    project_id = (await project(owner)).project_id
    task_id = (await task(owner, project_id)).task_id
    making = pb.CreateRecurringTaskRequest(request_id=rid(), recurring_task=_recurring(project_id))
    recurring = (await owner.tasks.CreateRecurringTask(making)).recurring_task
    saving = pb.CreateSavedFilterRequest(request_id=rid(), saved_filter=tasks_pb2.SavedFilter(name="Mine"))
    saved = (await owner.tasks.CreateSavedFilter(saving)).saved_filter
    return {
        "project": project_id,
        "task": task_id,
        "comment": (await comment(owner, task_id)).comment_id,
        "time_entry": (await worked(owner, task_id)).time_entry_id,
        "recurring_task": recurring.recurring_task_id,
        "saved_filter": saved.saved_filter_id,
    }


async def state(owner: Api, ids: Mapping[str, str]) -> object:
    """The project with all that is in it."""
    task_id = ids["task"]
    return [
        raw(each)
        for each in (
            await owner.tasks.GetProject(pb.GetProjectRequest(project_id=ids["project"])),
            *await listed(owner),
            await owner.tasks.ListComments(pb.ListCommentsRequest(task_id=task_id)),
            await owner.tasks.ListTimeEntries(pb.ListTimeEntriesRequest(task_id=task_id)),
            await owner.tasks.ListTaskActivity(pb.ListTaskActivityRequest(task_id=task_id)),
            await owner.tasks.ListSavedFilters(pb.ListSavedFiltersRequest()),
            await owner.tasks.ListRecurringTasks(pb.ListRecurringTasksRequest(project_id=ids["project"])),
        )
    ]


_OWN = {
    "project": (
        ("UpdateProject", "project.project_id"),
        ("GetProject", "project_id"),
        ("SetMember", "project_id"),
        ("RemoveMember", "project_id"),
        ("ListMembers", "project_id"),
        ("CreateTask", "task.project_id"),
        ("ListTasks", "filter.project_id"),
        ("ExportTasks", "filter.project_id"),
        ("SearchTasks", "project_id"),
        ("ListTaskActivity", "project_id"),
        ("WatchTasks", "project_id"),
        ("ListRecurringTasks", "project_id"),
    ),
    "task": (
        ("UpdateTask", "task.task_id"),
        ("GetTask", "task_id"),
        ("MoveTask", "task_id"),
        ("TransferTask", "task_id"),
        ("ListTaskActivity", "task_id"),
        ("CreateComment", "comment.task_id"),
        ("ListComments", "task_id"),
        ("CreateTimeEntry", "time_entry.task_id"),
        ("ListTimeEntries", "task_id"),
    ),
    "comment": (("UpdateComment", "comment.comment_id"), ("DeleteComment", "comment_id")),
    "time_entry": (("UpdateTimeEntry", "time_entry.time_entry_id"), ("DeleteTimeEntry", "time_entry_id")),
    "recurring_task": (
        ("UpdateRecurringTask", "recurring_task.recurring_task_id"),
        ("DeleteRecurringTask", "recurring_task_id"),
    ),
    "saved_filter": (
        ("UpdateSavedFilter", "saved_filter.saved_filter_id"),
        ("DeleteSavedFilter", "saved_filter_id"),
    ),
}
"""By what each id is of."""

_EVERYONES = {
    "it is looked for among the members of a project that the caller sees": (
        ("SetMember", "account_id"),
        ("RemoveMember", "account_id"),
        ("CreateTask", "task.assignee_id"),
        ("UpdateTask", "task.assignee_id"),
        ("BatchUpdateTasks", "requests.task.assignee_id"),
        ("CreateRecurringTask", "recurring_task.assignee_id"),
        ("UpdateRecurringTask", "recurring_task.assignee_id"),
    ),
    "it is looked for among the tasks of a project that the caller sees": (
        ("CreateTask", "task.parent_id"),
        ("CreateTask", "task.blocked_by_ids"),
        ("UpdateTask", "task.parent_id"),
        ("UpdateTask", "task.blocked_by_ids"),
        ("BatchUpdateTasks", "requests.task.parent_id"),
        ("BatchUpdateTasks", "requests.task.blocked_by_ids"),
        ("MoveTask", "before_id"),
        ("MoveTask", "after_id"),
    ),
    "it chooses from what the caller sees, and nothing is looked up": (
        ("ListTasks", "filter.assignee_id"),
        ("ListTasks", "filter.parent_id"),
        ("ExportTasks", "filter.assignee_id"),
        ("ExportTasks", "filter.parent_id"),
    ),
    "it is kept as it is for the caller, and nothing is looked up": tuple(
        (f"{verb}SavedFilter", f"saved_filter.filter.{name}")
        for verb in ("Create", "Update")
        for name in ("project_id", "assignee_id", "parent_id")
    ),
    "it is answered for in the verdict of the change, as UpdateTask does": (
        ("BatchUpdateTasks", "requests.task.task_id"),
    ),
    "it is not read: what is changed stays in its project, and with its task": (
        ("UpdateTask", "task.project_id"),
        ("BatchUpdateTasks", "requests.task.project_id"),
        ("UpdateComment", "comment.task_id"),
        ("UpdateTimeEntry", "time_entry.task_id"),
        ("UpdateRecurringTask", "recurring_task.project_id"),
    ),
    "it is looked up once the task was found": (("TransferTask", "project_id"),),
    "it is looked up once the rule was read": (("CreateRecurringTask", "recurring_task.project_id"),),
}
"""Ids that no account owns, or that are read behind another one, by why."""

ROWS = ContractRows(
    changes=(keep_projects, work, save_filters),
    everyones={(f"TaskService/{name}", path): why for why, takes in _EVERYONES.items() for name, path in takes},
    own={(f"TaskService/{name}", path): of for of, takes in _OWN.items() for name, path in takes},
    permissions=("tasks.read", "tasks.write", "tasks.create_projects"),
    owned=owned,
    state=state,
)
