from uuid import UUID

from backroom.tasks.v1 import task_service_pb2 as pb
from server.frame.call import Call
from server.frame.paging import by_columns, key_time, page_by, page_of
from server.tasks.messages import projects as messages
from server.tasks.servicer.base import Methods

_BY_CREATION = by_columns(lambda kept: (kept.project.create_time, kept.project.id), key_time, UUID)


class ProjectMethods(Methods):
    """Projects and their members."""

    async def CreateProject(self, request: pb.CreateProjectRequest, call: Call) -> pb.CreateProjectResponse:
        draft = messages.project_draft(request.project)
        created = await self._use.projects.create(draft, call.change_context(request))
        return pb.CreateProjectResponse(project=messages.project(created))

    async def UpdateProject(self, request: pb.UpdateProjectRequest, call: Call) -> pb.UpdateProjectResponse:
        changed = await self._use.projects.edit(messages.project_edit(request), call.change_context(request))
        return pb.UpdateProjectResponse(project=messages.project(changed))

    async def GetProject(self, request: pb.GetProjectRequest, call: Call) -> pb.GetProjectResponse:
        found = await self._use.projects.get(call.caller.account_id, UUID(request.project_id))
        return pb.GetProjectResponse(project=messages.project(found))

    async def ListProjects(self, request: pb.ListProjectsRequest, call: Call) -> pb.ListProjectsResponse:
        page = page_by(_BY_CREATION, request)
        found = await self._use.projects.list_latest(
            call.caller.account_id, before=page.after, limit=page.limit, archived=request.include_archived
        )
        projects, next_page_token = page.of(found, messages.project)
        return pb.ListProjectsResponse(projects=projects, next_page_token=next_page_token)

    async def SetMember(self, request: pb.SetMemberRequest, call: Call) -> pb.SetMemberResponse:
        project_id, account_id = UUID(request.project_id), UUID(request.account_id)
        role, context = messages.role(request.role), call.change_context(request)
        member = await self._use.projects.set_member(project_id, account_id, role, context)
        return pb.SetMemberResponse(member=messages.member(member))

    async def RemoveMember(self, request: pb.RemoveMemberRequest, call: Call) -> pb.RemoveMemberResponse:
        project_id, account_id = UUID(request.project_id), UUID(request.account_id)
        await self._use.projects.remove_member(project_id, account_id, call.change_context(request))
        return pb.RemoveMemberResponse()

    async def ListMembers(self, request: pb.ListMembersRequest, call: Call) -> pb.ListMembersResponse:
        page = page_of(request)
        found = await self._use.projects.list_members(
            call.caller.account_id, UUID(request.project_id), before=page.after, limit=page.limit
        )
        members, next_page_token = page.of(found, messages.member)
        return pb.ListMembersResponse(members=members, next_page_token=next_page_token)
