"""Many callers change the same tasks."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import cycle, islice
from typing import Any

import grpc
import pytest

from backroom.tasks.v1 import task_service_pb2 as pb
from backroom.tasks.v1 import tasks_pb2
from tests.fixtures.processes import Pair
from tests.fixtures.servers import Api, refused
from tests.races.test_stock import repeated
from tests.tasks.calling import broken_laws, found, joined, listed, project, rid, task, update

_MOVES = 1000
_TRIES = 30
"""On a busy machine."""


async def callers(pair: Pair, project_owner: Api, project_id: str, count: int) -> list[Api]:
    """So many editors of a project, over two servers."""
    apis = [api for _ in range(count // 2) for api in await pair.sign_in("service")]
    for api in apis:
        await joined(project_owner, project_id, api)
    return apis


async def outcome(call: Callable[[Any], Awaitable[object]], request: Any) -> str:
    """How a call ends, which is made again, under the same request_id, where it is told to come back later."""
    for _ in range(_TRIES):
        try:
            await repeated(call, request)
        except grpc.aio.AioRpcError as error:
            found = refused(error)
            if found.retry_after is None:
                return found.reason
            await asyncio.sleep(found.retry_after)
        else:
            return "done"
    return found.reason


async def test_1000_moves_at_once_leave_ranks_of_their_own(pair: Pair) -> None:
    """Each task has one, in an order that every move has taken part in; half of them go to one place."""
    owner, _ = await pair.sign_in("service")
    mine = (await project(owner)).project_id
    tasks = [(await task(owner, mine, str(number))).task_id for number in range(40)]
    apis = await callers(pair, owner, mine, 20)
    drawn = random.Random(3)  # noqa: S311 - not for secrets

    def move(api: Api, number: int) -> Any:
        one, other = drawn.sample(tasks, 2)
        place: Any = {"after_id": tasks[0]} if number % 2 and one != tasks[0] else {"before_id": other}
        return outcome(api.tasks.MoveTask, pb.MoveTaskRequest(request_id=rid(), task_id=one, **place))

    calls = [move(api, number) for number, api in enumerate(islice(cycle(apis), _MOVES))]
    assert Counter(await asyncio.gather(*calls)) == {"done": _MOVES}
    order = await listed(owner, tasks_pb2.TASK_ORDER_RANK, project_id=mine)
    assert sorted(each.task_id for each in order) == sorted(tasks)
    ranks = [each.rank for each in order]
    assert len(set(ranks)) == len(tasks)
    assert ranks == sorted(ranks)
    assert broken_laws(pair.url) == {}


@pytest.mark.parametrize("kind", ["parent", "blocker"])
async def test_two_links_that_make_a_circle_are_not_both_made(pair: Pair, kind: str) -> None:
    """Whichever comes first is made, and the other one is refused; also over three tasks."""
    owner, _ = await pair.sign_in("service")
    mine = (await project(owner)).project_id
    apis = await callers(pair, owner, mine, 4)
    for _ in range(15):
        ring = [(await task(owner, mine)).task_id for _ in range(3)]

        def link(lower: str, upper: str) -> pb.UpdateTaskRequest:
            values: dict[str, Any] = {"parent_id": upper} if kind == "parent" else {"blocked_by_ids": [upper]}
            return update(lower, **values)

        pairs = zip(ring, [*ring[1:], ring[0]], strict=True)
        calls = [
            outcome(api.tasks.UpdateTask, link(*pair_of)) for api, pair_of in zip(cycle(apis), pairs, strict=False)
        ]
        assert Counter(await asyncio.gather(*calls)) == {"done": 2, f"{kind.upper()}_CIRCLE": 1}
    assert broken_laws(pair.url) == {}


async def test_of_editors_at_once_one_changes_a_task_and_each_other_one_is_told(pair: Pair) -> None:
    """With the etag that all of them read, no change is lost."""
    owner, _ = await pair.sign_in("service")
    mine = (await project(owner)).project_id
    apis = await callers(pair, owner, mine, 8)
    for _ in range(10):
        before = await task(owner, mine)
        calls = [
            outcome(api.tasks.UpdateTask, update(before.task_id, title=str(place), etag=before.etag))
            for place, api in enumerate(apis)
        ]
        outcomes = await asyncio.gather(*calls)
        assert Counter(outcomes) == {"done": 1, "ETAG_MISMATCH": len(apis) - 1}
        assert (await found(owner, before.task_id)).title == str(outcomes.index("done"))


async def test_tasks_that_are_created_at_once_have_numbers_of_their_own(pair: Pair) -> None:
    """Without a gap; also where others go to another project meanwhile."""
    owner, _ = await pair.sign_in("service")
    mine, other = [(await project(owner)).project_id for _ in range(2)]
    apis = await callers(pair, owner, mine, 8)
    for api in apis:
        await joined(owner, other, api)
    first = [await task(owner, mine) for _ in range(20)]
    calls = [
        outcome(
            api.tasks.CreateTask,
            pb.CreateTaskRequest(request_id=rid(), task=tasks_pb2.Task(project_id=mine, title="Task")),
        )
        for api in islice(cycle(apis), 60)
    ]
    calls += [
        outcome(
            api.tasks.TransferTask,
            pb.TransferTaskRequest(request_id=rid(), task_id=each.task_id, project_id=other),
        )
        for api, each in zip(cycle(apis), first, strict=False)
    ]
    assert Counter(await asyncio.gather(*calls)) == {"done": 80}
    assert sorted(each.number for each in await listed(owner, project_id=mine)) == list(range(21, 81))
    assert sorted(each.number for each in await listed(owner, project_id=other)) == list(range(1, 21))
    assert broken_laws(pair.url) == {}


async def test_who_is_removed_is_assigned_to_nothing(pair: Pair) -> None:
    """However the assignments and the removal meet: nobody is left as the assignee of what it cannot see."""
    owner, _ = await pair.sign_in("service")
    mine = (await project(owner)).project_id
    apis = await callers(pair, owner, mine, 4)
    tasks = [(await task(owner, mine)).task_id for _ in range(8)]
    for _ in range(5):
        (member,) = (await pair.sign_in("customer"))[:1]
        await joined(owner, mine, member)
        who = str(member.account_id)
        remove = pb.RemoveMemberRequest(request_id=rid(), project_id=mine, account_id=who)
        calls = [
            outcome(api.tasks.UpdateTask, update(each, assignee_id=who))
            for api, each in zip(cycle(apis), tasks, strict=False)
        ]
        calls.insert(4, outcome(owner.tasks.RemoveMember, remove))
        assert set(await asyncio.gather(*calls)) <= {"done", "ASSIGNEE_NOT_MEMBER"}
        assert not [each for each in await listed(owner, project_id=mine) if each.assignee_id]
    assert broken_laws(pair.url) == {}
