"""Projects, their members, and what those without a role do not see."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from backroom.tasks.v1 import notes_pb2, projects_pb2, tasks_pb2
from backroom.tasks.v1 import task_service_pb2 as pb
from tests.fixtures.servers import Api, Running, SharedServer, refusal
from tests.tasks.calling import (
    COMMENTER,
    EDITOR,
    OWNER,
    VIEWER,
    activity,
    broken_laws,
    comment,
    found,
    joined,
    left,
    listed,
    project,
    rid,
    searched,
    task,
    update,
    updated,
    worked,
)

_CHOICE, _NUMBER = projects_pb2.CUSTOM_FIELD_TYPE_CHOICE, projects_pb2.CUSTOM_FIELD_TYPE_NUMBER


async def test_a_project_is_created_with_its_owner(service: Api) -> None:
    """Its key is nobody else's from then on."""
    made = await project(service, name="Web", key="WEB")
    assert (made.key, made.role) == ("WEB", projects_pb2.PROJECT_ROLE_OWNER)
    listing = await service.tasks.ListProjects(pb.ListProjectsRequest())
    assert list(listing.projects) == [made]
    again = pb.CreateProjectRequest(project=projects_pb2.Project(key="WEB", name="Web"))
    assert (await refusal(service.tasks.CreateProject(again))).reason == "PROJECT_KEY_TAKEN"
    malformed = pb.CreateProjectRequest(project=projects_pb2.Project(key="web", name="Web"))
    assert [*(await refusal(service.tasks.CreateProject(malformed))).fields] == ["project.key"]


async def test_to_others_nothing_of_a_project_exists(server: Running, service: Api) -> None:
    """Neither by an id, nor in a list, nor by words, also to an admin."""
    mine = await project(service)
    made = await task(service, mine.project_id, "Secret plan")
    stranger = await server.sign_in("admin")
    calls: list[tuple[str, Any]] = [
        ("PROJECT_NOT_FOUND", stranger.tasks.GetProject(pb.GetProjectRequest(project_id=mine.project_id))),
        ("TASK_NOT_FOUND", stranger.tasks.GetTask(pb.GetTaskRequest(task_id=made.task_id))),
        ("TASK_NOT_FOUND", stranger.tasks.GetTask(pb.GetTaskRequest(key=made.key))),
        ("TASK_NOT_FOUND", stranger.tasks.UpdateTask(update(made.task_id, title="Mine"))),
        ("PROJECT_NOT_FOUND", listed(stranger, project_id=mine.project_id)),
        ("PROJECT_NOT_FOUND", searched(stranger, "plan", project_id=mine.project_id)),
        ("PROJECT_NOT_FOUND", activity(stranger, project_id=mine.project_id)),
        ("TASK_NOT_FOUND", activity(stranger, task_id=made.task_id)),
        ("TASK_NOT_FOUND", comment(stranger, made.task_id)),
    ]
    for reason, call in calls:
        assert (await refusal(call)).reason == reason
    assert await listed(stranger) == await searched(stranger, "plan") == []


@pytest.mark.parametrize(
    ("role", "allowed"),
    [(VIEWER, ""), (COMMENTER, "comment"), (EDITOR, "comment task"), (OWNER, "comment task member")],
)
async def test_a_role_decides_what_a_member_may_do(server: Running, service: Api, role: int, allowed: str) -> None:
    """Each may do what the lower ones may."""
    mine = await project(service)
    made = await task(service, mine.project_id)
    member = await server.sign_in("customer")
    await joined(service, mine.project_id, member, role)
    doing: dict[str, Callable[[], Any]] = {
        "comment": lambda: comment(member, made.task_id),
        "task": lambda: updated(member, made.task_id, title="New"),
        "member": lambda: joined(member, mine.project_id, member, role),
    }
    assert await found(member, made.task_id) == made
    for what, call in doing.items():
        if what in allowed:
            await call()
        else:
            refused = await refusal(call())
            assert (refused.code.name, refused.reason) == ("PERMISSION_DENIED", "ROLE_TOO_LOW")


async def test_who_lost_a_project_sees_none_of_it(server: Running, service: Api, shared_server: SharedServer) -> None:
    """Its tasks there are unassigned, each with an entry in the activity."""
    mine = await project(service)
    member = await server.sign_in("customer")
    await joined(service, mine.project_id, member)
    made = await task(service, mine.project_id, "Plan", assignee_id=str(member.account_id))
    assert [each.task_id for each in await listed(member, assignee_id=str(member.account_id))] == [made.task_id]
    await left(service, mine.project_id, member)
    assert await listed(member) == await searched(member, "plan") == []
    for call in (found(member, made.task_id), activity(member, task_id=made.task_id)):
        assert (await refusal(call)).reason == "TASK_NOT_FOUND"
    now = await found(service, made.task_id)
    assert now.assignee_id == ""
    assert [each.field for each in (await activity(service, task_id=made.task_id))[0].changes] == ["assignee_id"]
    assert broken_laws(shared_server.url) == {}


async def test_tasks_are_assigned_to_members_alone(server: Running, service: Api) -> None:
    """Nobody is asked to do what it cannot see."""
    mine = await project(service)
    stranger = await server.sign_in("customer")
    made = await task(service, mine.project_id)
    request = update(made.task_id, assignee_id=str(stranger.account_id))
    assert (await refusal(service.tasks.UpdateTask(request))).reason == "ASSIGNEE_NOT_MEMBER"
    await joined(service, mine.project_id, stranger, VIEWER)
    assert (await updated(service, made.task_id, assignee_id=str(stranger.account_id))).assignee_id


async def test_a_project_keeps_an_owner(server: Running, service: Api) -> None:
    """The last one can neither leave nor take another role."""
    mine = await project(service)
    for call in (
        left(service, mine.project_id, service),
        joined(service, mine.project_id, service, EDITOR),
    ):
        assert (await refusal(call)).reason == "LAST_OWNER"
    nobody = pb.SetMemberRequest(
        project_id=mine.project_id, account_id=str(uuid4()), role=projects_pb2.PROJECT_ROLE_OWNER
    )
    assert (await refusal(service.tasks.SetMember(nobody))).reason == "NO_SUCH_ACCOUNT"
    another = await server.sign_in("customer")
    await joined(service, mine.project_id, another, OWNER)
    await left(service, mine.project_id, service)
    members = await another.tasks.ListMembers(pb.ListMembersRequest(project_id=mine.project_id))
    assert [each.account_id for each in members.members] == [str(another.account_id)]


async def test_an_archived_project_can_be_read_only(service: Api) -> None:
    """Until it is opened again."""
    mine = await project(service)
    made = await task(service, mine.project_id)

    async def archive(*, archived: bool) -> None:
        change = projects_pb2.Project(project_id=mine.project_id, archived=archived)
        request = pb.UpdateProjectRequest(project=change)
        request.update_mask.paths.append("archived")
        await service.tasks.UpdateProject(request)

    await archive(archived=True)
    for call in (updated(service, made.task_id, title="New"), task(service, mine.project_id)):
        assert (await refusal(call)).reason == "PROJECT_ARCHIVED"
    assert await found(service, made.task_id) == made
    assert not (await service.tasks.ListProjects(pb.ListProjectsRequest())).projects
    await archive(archived=False)
    await updated(service, made.task_id, title="New")


async def test_custom_fields_hold_what_they_are_declared_for(service: Api) -> None:
    """A value of another type, of no field, or none of the choices is refused; declared fields stay."""
    fields = [
        projects_pb2.CustomField(key="size", type=_NUMBER),
        projects_pb2.CustomField(key="kind", type=_CHOICE, choices=["bug", "idea"]),
        projects_pb2.CustomField(key="day", type=projects_pb2.CUSTOM_FIELD_TYPE_DATE),
    ]
    mine = await project(service, custom_fields=fields)
    value = tasks_pb2.CustomValue
    right = [value(key="kind", choice="bug"), value(key="size", number=2), value(key="day", date="2026-12-24")]
    made = await task(service, mine.project_id, custom_values=right)
    assert sorted(each.key for each in made.custom_values) == ["day", "kind", "size"]
    for wrong in (
        value(key="size", text="2"),
        value(key="kind", choice="else"),
        value(key="none", text="x"),
        value(key="day", date="2026-02-30"),
    ):
        refused = await refusal(service.tasks.UpdateTask(update(made.task_id, custom_values=[wrong])))
        assert refused.reason == "FIELD_INVALID"
    change = projects_pb2.Project(project_id=mine.project_id, custom_fields=fields[:1])
    refused = await refusal(service.tasks.UpdateProject(pb.UpdateProjectRequest(project=change)))
    assert (refused.reason, refused.metadata) == ("CUSTOM_FIELD_CONFLICT", {"key": "kind"})


async def test_comments_and_time_belong_to_their_authors(
    server: Running, service: Api, shared_server: SharedServer
) -> None:
    """Others cannot change them; an owner can delete them."""
    mine = await project(service)
    made = await task(service, mine.project_id)
    member = await server.sign_in("customer")
    await joined(service, mine.project_id, member, COMMENTER)
    said, spent = await comment(member, made.task_id), await worked(member, made.task_id)
    other = pb.UpdateCommentRequest(comment=notes_pb2.Comment(comment_id=said.comment_id, text="Mine."))
    assert (await refusal(service.tasks.UpdateComment(other))).reason == "NOT_THE_AUTHOR"
    changed = (await member.tasks.UpdateComment(other)).comment
    assert changed.text == "Mine."
    stale = pb.DeleteCommentRequest(comment_id=said.comment_id, etag=said.etag)
    refused = await refusal(member.tasks.DeleteComment(stale))
    assert (refused.reason, refused.metadata["etag"]) == ("ETAG_MISMATCH", changed.etag)
    more = notes_pb2.TimeEntry(time_entry_id=spent.time_entry_id, minutes=30)
    await member.tasks.UpdateTimeEntry(pb.UpdateTimeEntryRequest(time_entry=more))
    times = await service.tasks.ListTimeEntries(pb.ListTimeEntriesRequest(task_id=made.task_id))
    assert [each.minutes for each in times.time_entries] == [30]
    await service.tasks.DeleteComment(pb.DeleteCommentRequest(request_id=rid(), comment_id=said.comment_id))
    await member.tasks.DeleteTimeEntry(pb.DeleteTimeEntryRequest(time_entry_id=spent.time_entry_id))
    assert not (await service.tasks.ListComments(pb.ListCommentsRequest(task_id=made.task_id))).comments
    kinds = [each.kind for each in await activity(service, task_id=made.task_id)]
    assert kinds == [17, 14, 16, 13, 15, 12, 8]
    assert broken_laws(shared_server.url) == {}


async def test_saved_filters_are_the_callers_own(server: Running, service: Api) -> None:
    """Another account finds none of them."""
    wanted = tasks_pb2.TaskFilter(
        states=[tasks_pb2.TASK_STATE_OPEN, tasks_pb2.TASK_STATE_DONE], labels=["a"], unassigned=True
    )
    sent = tasks_pb2.SavedFilter(name="Open", filter=wanted, order=tasks_pb2.TASK_ORDER_PRIORITY)
    saved = (await service.tasks.CreateSavedFilter(pb.CreateSavedFilterRequest(saved_filter=sent))).saved_filter
    assert saved.filter == wanted
    renamed = tasks_pb2.SavedFilter(saved_filter_id=saved.saved_filter_id, name="Mine", etag=saved.etag)
    changing = pb.UpdateSavedFilterRequest(saved_filter=renamed)
    changed = (await service.tasks.UpdateSavedFilter(changing)).saved_filter
    assert (changed.name, changed.filter) == ("Mine", wanted)
    stranger = await server.sign_in("admin")
    assert (await refusal(stranger.tasks.UpdateSavedFilter(changing))).reason == "SAVED_FILTER_NOT_FOUND"
    assert not (await stranger.tasks.ListSavedFilters(pb.ListSavedFiltersRequest())).saved_filters
    await service.tasks.DeleteSavedFilter(pb.DeleteSavedFilterRequest(saved_filter_id=saved.saved_filter_id))
    assert not (await service.tasks.ListSavedFilters(pb.ListSavedFiltersRequest())).saved_filters
