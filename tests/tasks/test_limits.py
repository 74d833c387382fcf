"""What one caller may do at once, and how many of something there may be."""

from typing import Any

from backroom.tasks.v1 import task_service_pb2 as pb
from server.frame.interceptors import CallLimits, Rate
from storage.database import Database
from tests.fixtures.servers import Api, refusal, running
from tests.tasks.calling import found, project, rid, task, update


async def test_a_batch_counts_as_many_calls_as_it_has_changes(database: Database) -> None:
    """After it, the caller waits as if it had made them one by one; another caller does not."""
    limits = CallLimits(rate=Rate(per_second=0.05, burst=20))
    async with running(database, limits=limits) as server:
        service, other = await server.sign_in("service"), await server.sign_in("service")
        one = await task(service, (await project(service)).project_id)
        changes = [update(one.task_id, title=str(number)) for number in range(16)]
        for each in changes:
            each.request_id = ""
        answer = await service.tasks.BatchUpdateTasks(pb.BatchUpdateTasksRequest(request_id=rid(), requests=changes))
        assert [each.task.title for each in answer.results] == [str(number) for number in range(16)]
        await found(service, one.task_id)
        await found(service, one.task_id)
        assert (await refusal(found(service, one.task_id))).reason == "RATE_LIMITED"
        assert (await refusal(found(other, one.task_id))).reason == "TASK_NOT_FOUND"


async def reached(call: Any) -> dict[str, str]:
    """The metadata of a refusal for a limit."""
    refused = await refusal(call)
    assert refused.reason == "LIMIT_REACHED"
    return refused.metadata


async def test_a_task_blocks_no_more_than_fifty(service: Api) -> None:
    """Though each of them waits for it alone."""
    mine = (await project(service)).project_id
    one = await task(service, mine)
    for _ in range(50):
        await task(service, mine, blocked_by_ids=[one.task_id])
    metadata = await reached(task(service, mine, blocked_by_ids=[one.task_id]))
    assert metadata == {"what": "tasks that wait for one", "most": "50"}
    assert len((await found(service, one.task_id)).blocking_ids) == 50
