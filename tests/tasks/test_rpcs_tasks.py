"""Tasks: created, changed, numbered, and linked with each other."""

import itertools

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from backroom.tasks.v1 import projects_pb2, tasks_pb2
from backroom.tasks.v1 import task_service_pb2 as pb
from tests.fixtures.servers import Api, SharedServer, refusal
from tests.tasks.calling import activity, broken_laws, found, listed, moved, project, rid, task, update, updated


async def test_tasks_are_numbered_and_ranked_as_they_come(service: Api) -> None:
    """Numbers begin with 1 in each project, and keys are of both."""
    one, other = await project(service), await project(service)
    made = [await task(service, each.project_id) for each in (one, one, other)]
    assert [each.key for each in made] == [f"{one.key}-1", f"{one.key}-2", f"{other.key}-1"]
    assert made[0].rank < made[1].rank
    assert (made[0].state, made[0].priority) == (tasks_pb2.TASK_STATE_OPEN, tasks_pb2.TASK_PRIORITY_NORMAL)
    by_key = await service.tasks.GetTask(pb.GetTaskRequest(key=f"{one.key}-2"))
    assert by_key.task == made[1] == await found(service, made[1].task_id)


async def test_fields_that_are_not_named_stay(service: Api, shared_server: SharedServer) -> None:
    """Of an update with a mask, what is set beside it counts for nothing."""
    in_project = (await project(service)).project_id
    due = Timestamp(seconds=1_800_000_000)
    before = await task(service, in_project, description="Long.", labels=["a", "b", "a"], due_time=due, priority=4)
    assert list(before.labels) == ["a", "b"]
    after = await updated(service, before.task_id, "title", title="New", description="Lost?")
    expected = tasks_pb2.Task()
    expected.CopyFrom(before)
    expected.title, expected.etag = "New", after.etag
    expected.update_time.CopyFrom(after.update_time)
    assert after == expected
    cleared = await updated(service, before.task_id, "due_time", "labels")
    assert (cleared.HasField("due_time"), list(cleared.labels), cleared.title) == (False, [], "New")
    assert broken_laws(shared_server.url) == {}


async def test_of_two_editors_the_second_is_told_the_current_etag(service: Api) -> None:
    """Nothing of the first one's change is lost."""
    before = await task(service, (await project(service)).project_id)
    first = await updated(service, before.task_id, title="First", etag=before.etag)
    refused = await refusal(service.tasks.UpdateTask(update(before.task_id, title="Second", etag=before.etag)))
    assert (refused.code.name, refused.reason, refused.metadata) == ("ABORTED", "ETAG_MISMATCH", {"etag": first.etag})
    assert await found(service, before.task_id) == first
    moving = pb.MoveTaskRequest(task_id=before.task_id, edge=tasks_pb2.EDGE_FIRST, etag=before.etag)
    assert (await refusal(service.tasks.MoveTask(moving))).reason == "ETAG_MISMATCH"


async def test_each_change_has_one_entry_and_what_changes_nothing_none(service: Api) -> None:
    """The entry says what each field was and is."""
    before = await task(service, (await project(service)).project_id, "Old")
    await updated(service, before.task_id, title="New", state=tasks_pb2.TASK_STATE_DONE)
    await updated(service, before.task_id, title="New")
    last, first = await activity(service, task_id=before.task_id)
    assert [(each.field, each.before, each.after) for each in last.changes] == [
        ("title", "Old", "New"),
        ("state", "OPEN", "DONE"),
    ]
    assert (first.kind, last.kind) == (8, 9)
    assert last.actor_id == str(service.account_id)


async def test_a_repeated_request_answers_the_same(service: Api) -> None:
    """Though the task has changed since."""
    in_project = (await project(service)).project_id
    request = pb.CreateTaskRequest(request_id=rid(), task=tasks_pb2.Task(project_id=in_project, title="Once"))
    first = await service.tasks.CreateTask(request)
    await updated(service, first.task.task_id, title="Twice")
    assert await service.tasks.CreateTask(request) == first
    assert len(await listed(service)) == 1


async def test_a_batch_answers_for_each_of_its_changes(service: Api) -> None:
    """What is refused keeps none of the others from being made, and each sees those before it."""
    in_project = (await project(service)).project_id
    one, two = await task(service, in_project), await task(service, in_project)
    changes = [
        update(one.task_id, title="A", etag=one.etag),
        update(one.task_id, title="B", etag=one.etag),
        update(rid(), title="C"),
        update(two.task_id, "rank"),
        update(two.task_id, state=tasks_pb2.TASK_STATE_DONE),
    ]
    for each in changes:
        each.request_id = ""
    request = pb.BatchUpdateTasksRequest(request_id=rid(), requests=changes)
    answer = await service.tasks.BatchUpdateTasks(request)
    assert [each.WhichOneof("result") for each in answer.results] == ["task", *["refusal"] * 3, "task"]
    assert [each.refusal.code for each in answer.results] == [0, 10, 5, 3, 0]
    assert (await found(service, one.task_id)).title == "A"
    again = await service.tasks.BatchUpdateTasks(request)
    assert again.results[0] == answer.results[0]
    assert len(await activity(service, task_id=one.task_id)) == 2


@pytest.mark.parametrize("kind", ["parent", "blocker"])
async def test_circles_are_refused(service: Api, kind: str) -> None:
    """Over any number of tasks, and of one with itself."""
    in_project = (await project(service)).project_id
    tasks = [(await task(service, in_project)).task_id for _ in range(4)]

    def linked(lower: str, upper: str) -> pb.UpdateTaskRequest:
        values = {"parent_id": upper} if kind == "parent" else {"blocked_by_ids": [upper]}
        return update(lower, **values)

    for lower, upper in itertools.pairwise(tasks):
        await service.tasks.UpdateTask(linked(lower, upper))
    for upper in (tasks[0], tasks[3]):
        refused = await refusal(service.tasks.UpdateTask(linked(tasks[3], upper)))
        assert refused.reason == f"{kind.upper()}_CIRCLE"
    refused = await refusal(service.tasks.UpdateTask(linked(tasks[3], tasks[0])))
    assert refused.reason == f"{kind.upper()}_CIRCLE"


async def test_links_lead_to_tasks_of_the_project_alone(service: Api) -> None:
    """Another project's task is none, as one that does not exist."""
    mine, elsewhere = [await task(service, (await project(service)).project_id) for _ in range(2)]
    for values in ({"parent_id": elsewhere.task_id}, {"blocked_by_ids": [rid()]}):
        refused = await refusal(service.tasks.UpdateTask(update(mine.task_id, **values)))
        assert refused.reason == "LINKED_TASK_NOT_FOUND"
    refused = await refusal(
        service.tasks.MoveTask(pb.MoveTaskRequest(task_id=mine.task_id, after_id=elsewhere.task_id))
    )
    assert refused.reason == "LINKED_TASK_NOT_FOUND"


async def test_tasks_above_each_other_have_a_bound(service: Api) -> None:
    """Counted from the lowest of what is moved."""
    in_project = (await project(service)).project_id
    chain = [await task(service, in_project)]
    for _ in range(10):
        chain.append(await task(service, in_project, parent_id=chain[-1].task_id))
    over = await task(service, in_project)
    below = update(over.task_id, parent_id=chain[-1].task_id)
    assert (await refusal(service.tasks.UpdateTask(below))).reason == "TOO_DEEP"
    above = update(chain[0].task_id, parent_id=over.task_id)
    assert (await refusal(service.tasks.UpdateTask(above))).reason == "TOO_DEEP"


async def test_blockers_are_seen_from_both_sides(service: Api, shared_server: SharedServer) -> None:
    """And can be taken away."""
    in_project = (await project(service)).project_id
    first, second = await task(service, in_project), await task(service, in_project)
    await updated(service, second.task_id, blocked_by_ids=[first.task_id, first.task_id])
    assert list((await found(service, first.task_id)).blocking_ids) == [second.task_id]
    assert list((await found(service, second.task_id)).blocked_by_ids) == [first.task_id]
    await updated(service, second.task_id, "blocked_by_ids")
    assert not (await found(service, first.task_id)).blocking_ids
    assert broken_laws(shared_server.url) == {}


async def test_a_task_that_goes_to_another_project_keeps_its_old_keys(
    service: Api, shared_server: SharedServer
) -> None:
    """Numbers are never given again, in either project."""
    one, other = await project(service), await project(service)
    first = await task(service, one.project_id)
    request = pb.TransferTaskRequest(request_id=rid(), task_id=first.task_id, project_id=other.project_id)
    there = (await service.tasks.TransferTask(request)).task
    assert (there.key, there.project_id) == (f"{other.key}-1", other.project_id)
    request = pb.TransferTaskRequest(request_id=rid(), task_id=first.task_id, project_id=one.project_id)
    back = (await service.tasks.TransferTask(request)).task
    assert back.key == f"{one.key}-2"
    assert (await task(service, one.project_id)).number == 3
    assert (await task(service, other.project_id)).number == 2
    for key in (first.key, there.key, back.key):
        assert (await service.tasks.GetTask(pb.GetTaskRequest(key=key))).task.task_id == first.task_id
    assert broken_laws(shared_server.url) == {}


async def test_what_does_not_fit_into_the_other_project_is_named(service: Api) -> None:
    """Nothing is dropped on the way."""
    fields = [projects_pb2.CustomField(key="size", type=projects_pb2.CUSTOM_FIELD_TYPE_NUMBER)]
    one, other = await project(service, custom_fields=fields), await project(service)
    first = await task(service, one.project_id)
    values = [tasks_pb2.CustomValue(key="size", number=2)]
    second = await task(service, one.project_id, blocked_by_ids=[first.task_id], custom_values=values)
    request = pb.TransferTaskRequest(task_id=second.task_id, project_id=other.project_id)
    refused = await refusal(service.tasks.TransferTask(request))
    assert (refused.reason, sorted(refused.preconditions)) == ("TASK_DOES_NOT_FIT", ["blocked_by_ids", "size"])


async def test_a_card_is_moved_over_a_board(service: Api, shared_server: SharedServer) -> None:
    """Between any two, to the ends, and to another column."""
    in_project = (await project(service)).project_id
    a, b, c = [(await task(service, in_project, title)).task_id for title in "ABC"]

    async def order() -> str:
        return "".join(each.title for each in await listed(service, tasks_pb2.TASK_ORDER_RANK, project_id=in_project))

    await moved(service, c, before_id=b)
    assert await order() == "ACB"
    await moved(service, a, after_id=b)
    assert await order() == "CBA"
    await moved(service, b, edge=tasks_pb2.EDGE_FIRST)
    await moved(service, c, edge=tasks_pb2.EDGE_LAST, state=tasks_pb2.TASK_STATE_IN_PROGRESS)
    assert await order() == "BAC"
    in_progress = await listed(service, states=[tasks_pb2.TASK_STATE_IN_PROGRESS])
    assert [each.title for each in in_progress] == ["C"]
    unchanged = await moved(service, c, edge=tasks_pb2.EDGE_LAST)
    assert unchanged == await found(service, c) == in_progress[0]
    assert broken_laws(shared_server.url) == {}
