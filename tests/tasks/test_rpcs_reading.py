"""Lists in every order, search, export and watches."""

import asyncio
import csv
import io
from typing import Any

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backroom.tasks.v1 import task_service_pb2 as pb
from backroom.tasks.v1 import tasks_pb2
from tests.fixtures.servers import Api, Running, SharedServer, refusal
from tests.tasks.calling import (
    VIEWER,
    comment,
    joined,
    left,
    listed,
    moved,
    project,
    searched,
    task,
    updated,
)

ORDERS = [*range(1, 7)]
_RANK = tasks_pb2.TASK_ORDER_RANK


def sort_key(order: int, each: tasks_pb2.Task) -> Any:
    times = (each.create_time.ToNanoseconds(), each.update_time.ToNanoseconds())
    due = each.due_time.ToNanoseconds() if each.HasField("due_time") else float("inf")
    column = {1: each.rank, 2: -times[0], 3: -times[1], 4: due, 5: -each.priority, 6: each.number}
    return column[order]


@pytest.mark.parametrize("order", ORDERS)
async def test_a_list_is_paged_in_every_order(service: Api, order: int) -> None:
    """Page by page, the same as at once; over one project, and over all but for the rank."""
    projects = [(await project(service)).project_id for _ in range(2)]
    for number in range(7):
        due = Timestamp(seconds=1_800_000_000 - number) if number % 3 else None
        await task(service, projects[number % 2], priority=1 + number % 4, due_time=due)
    choices: list[dict[str, Any]] = [{"project_id": projects[0]}, {}]
    for wanted in choices:
        if order == _RANK and not wanted:
            request = pb.ListTasksRequest(order=_RANK)
            assert [*(await refusal(service.tasks.ListTasks(request))).fields] == ["order"]
            continue
        whole = await listed(service, order, **wanted)
        keys = [sort_key(order, each) for each in whole]
        assert keys == sorted(keys)
        assert len(whole) == (4 if wanted else 7)
        assert await listed(service, order, page_size=2, **wanted) == whole


async def test_filters_choose_tasks(service: Api) -> None:
    """Each by itself, over all projects."""
    one, other = [(await project(service)).project_id for _ in range(2)]
    me = str(service.account_id)
    first = await task(service, one, "1", labels=["a", "b"], assignee_id=me, due_time=Timestamp(seconds=2_000_000_000))
    await task(service, one, "2", state=4, priority=4, parent_id=first.task_id, labels=["a"])
    await task(service, other, "3")
    chosen: list[tuple[dict[str, Any], str]] = [
        ({"project_id": other}, "3"),
        ({"states": [4, 5]}, "2"),
        ({"priorities": [4]}, "2"),
        ({"assignee_id": me}, "1"),
        ({"unassigned": True}, "23"),
        ({"labels": ["a"]}, "12"),
        ({"labels": ["a", "b"]}, "1"),
        ({"parent_id": first.task_id}, "2"),
        ({"top_level": True}, "13"),
        ({"due_start_time": Timestamp(seconds=1), "due_end_time": Timestamp(seconds=2_000_000_001)}, "1"),
        ({"due_end_time": Timestamp(seconds=2_000_000_000)}, ""),
    ]
    for wanted, titles in chosen:
        assert "".join(sorted(each.title for each in await listed(service, **wanted))) == titles, wanted


async def test_a_list_by_rank_begins_again_where_the_ranks_were_renewed(
    service: Api, shared_server: SharedServer
) -> None:
    """A token from before is refused, as nobody knows what would be behind it; the order is what it was."""
    mine = (await project(service)).project_id
    first, second, third = [await task(service, mine) for _ in range(3)]
    request = pb.ListTasksRequest(page_size=1, order=_RANK, filter=tasks_pb2.TaskFilter(project_id=mine))
    request.page_token = (await service.tasks.ListTasks(request)).next_page_token
    await service.tasks.ListTasks(request)
    close = first.rank + "0" * (63 - len(first.rank)) + "1"  # as after some hundred moves to right behind the first
    with psycopg.connect(shared_server.url) as connection:
        connection.execute("UPDATE tasks.tasks SET rank = %s WHERE id = %s", [close, second.task_id])
    now = await moved(service, third.task_id, after_id=first.task_id)
    assert len(now.rank) < 20
    order = [each.task_id for each in await listed(service, _RANK, project_id=mine)]
    assert order == [first.task_id, third.task_id, second.task_id]
    assert (await refusal(service.tasks.ListTasks(request))).reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize("order", ORDERS)
async def test_pages_miss_nothing_and_repeat_nothing_while_tasks_come_and_go(service: Api, order: Any) -> None:
    """What is there all the time is on exactly one page, whatever is created, moved and changed between two."""
    mine, other = [(await project(service)).project_id for _ in range(2)]
    stay = [(await task(service, mine, priority=1 + number % 4)).task_id for number in range(6)]
    leave = [(await task(service, mine)).task_id for _ in range(3)]
    request = pb.ListTasksRequest(page_size=2, order=order, filter=tasks_pb2.TaskFilter(project_id=mine))
    seen: list[str] = []
    while True:
        page = await service.tasks.ListTasks(request)
        seen += [each.task_id for each in page.tasks]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
        new = await task(service, mine, priority=4)
        if order == _RANK:
            await moved(service, new.task_id, before_id=stay[3])
        if leave:
            await service.tasks.TransferTask(pb.TransferTaskRequest(task_id=leave.pop(), project_id=other))
        if len(seen) > 100:
            break
    assert len(seen) == len(set(seen))
    assert set(stay) <= set(seen)


async def test_search_finds_words_with_and_without_accents(service: Api) -> None:
    """In titles before descriptions, as phrases, and without words that are not wanted."""
    mine = (await project(service)).project_id
    await task(service, mine, "Café größer machen", description="Am Tisch")
    await task(service, mine, "Tisch kaufen")
    await task(service, mine, "Łódź")
    assert await searched(service, "cafe") == ["Café größer machen"]
    assert await searched(service, "CAFÉ GROSSER") == ["Café größer machen"]
    assert await searched(service, "lodz") == ["Łódź"]
    assert await searched(service, "tisch") == ["Tisch kaufen", "Café größer machen"]
    assert await searched(service, "tisch -kaufen") == ["Café größer machen"]
    assert await searched(service, '"kaufen tisch"') == []
    assert await searched(service, "kaufen OR cafe", page_size=1) != []
    made = await task(service, mine, "Other")
    await updated(service, made.task_id, description="lodz")
    assert await searched(service, "lodz") == ["Łódź", "Other"]


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(query=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30))
async def test_any_text_is_a_query(service: Api, query: str) -> None:
    """None is an error, and one without words finds nothing."""
    await service.tasks.SearchTasks(pb.SearchTasksRequest(query=query))


@pytest.mark.parametrize("query", ["'", "((", "&|!", ":*", "\\", "-", '"', "<->", "project"])
async def test_hostile_queries_find_nothing(service: Api, query: str) -> None:
    """Also where there are tasks."""
    await task(service, (await project(service)).project_id, "Task")
    assert await searched(service, query) == []


async def test_an_export_is_a_file_in_pages_without_formulas(service: Api) -> None:
    """All pages together are one CSV file."""
    mine = (await project(service)).project_id
    titles = ["=1+1", "+1", "-1", "@SUM(A1)", 'A "quoted", text', "Plain"]
    for title in titles:
        await task(service, mine, title, description="=HYPERLINK()\nline")
    request = pb.ExportTasksRequest(page_size=4, filter=tasks_pb2.TaskFilter(project_id=mine))
    text = b""
    while True:
        answer = await service.tasks.ExportTasks(request)
        text += answer.csv
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    rows = list(csv.DictReader(io.StringIO(text.decode(), newline="")))
    assert [each["title"] for each in reversed(rows)] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", *titles[4:]]
    assert {each["description"] for each in rows} == {"'=HYPERLINK()\nline"}


async def watched(api: Api, count: int, token: str = "", **rest: Any) -> tuple[list[pb.WatchTasksResponse], str]:
    """So many messages with a subject, and the token of the last one."""
    call = api.tasks.WatchTasks(pb.WatchTasksRequest(resume_token=token, **rest))
    messages: list[pb.WatchTasksResponse] = []
    async for message in call:
        token = message.resume_token
        if message.WhichOneof("subject"):
            messages.append(message)
        if len(messages) == count:
            break
    call.cancel()
    return messages, token


async def test_a_client_that_was_away_catches_up_in_one_call(service: Api) -> None:
    """Each change once, in order, with the state after it."""
    mine = (await project(service)).project_id
    _, token = await watched(service, 0)
    made = await task(service, mine, "Old")
    new = await updated(service, made.task_id, title="New")
    said = await comment(service, made.task_id)
    last = await moved(service, made.task_id, edge=tasks_pb2.EDGE_FIRST, state=2)
    messages, token = await watched(service, 4, token)
    assert [each.kind for each in messages] == [8, 9, 12, 10]
    assert [messages[0].task, messages[1].task, messages[3].task] == [made, new, last]
    assert messages[2].comment == said
    more = await updated(service, made.task_id, title="Newer")
    (message,), _ = await watched(service, 1, token)
    assert message.task == more


async def test_who_lost_a_project_is_sent_nothing_of_it(server: Running, service: Api) -> None:
    """Not even what happened while it still was a member; and who was never one is sent nothing at all."""
    mine, shared = [(await project(service)).project_id for _ in range(2)]
    member = await server.sign_in("customer")
    for each in (mine, shared):
        await joined(service, each, member, VIEWER)
    _, token = await watched(member, 0)
    open_watch = asyncio.create_task(watched(member, 2, token))
    await task(service, mine, "Before")
    await task(service, shared, "Shared before")
    messages, _ = await open_watch
    assert [each.task.title for each in messages] == ["Before", "Shared before"]
    await left(service, mine, member)
    await task(service, mine, "After")
    await task(service, shared, "Shared after")
    messages, _ = await watched(member, 2, token)
    assert [each.task.title for each in messages] == ["Shared before", "Shared after"]
    refused = pb.WatchTasksRequest(project_id=mine)
    call = member.tasks.WatchTasks(refused)
    assert (await refusal(call.read())).reason == "PROJECT_NOT_FOUND"
