from uuid import UUID

from backroom.flags.v1 import proposal_service_pb2 as pb
from backroom.flags.v1 import proposal_service_pb2_grpc
from server.flags.messages import proposals as messages
from server.flags.service.proposals import Proposals
from server.frame.call import Call
from server.frame.paging import page_of


class ProposalServicer(proposal_service_pb2_grpc.ProposalServiceServicer):
    def __init__(self, proposals: Proposals) -> None:
        self._proposals = proposals

    async def GetProposal(self, request: pb.GetProposalRequest, call: Call) -> pb.GetProposalResponse:
        found = await self._proposals.get(UUID(request.proposal_id))
        return pb.GetProposalResponse(proposal=messages.proposal(found))

    async def ListProposals(self, request: pb.ListProposalsRequest, call: Call) -> pb.ListProposalsResponse:
        page = page_of(request)
        found = await self._proposals.list_latest(
            state=messages.proposal_state(request.state), before=page.after, limit=page.limit
        )
        proposals, next_page_token = page.of(found, messages.proposal)
        return pb.ListProposalsResponse(proposals=proposals, next_page_token=next_page_token)

    async def ApproveProposal(self, request: pb.ApproveProposalRequest, call: Call) -> pb.ApproveProposalResponse:
        change = call.change_context(request)
        found = await self._proposals.approve(UUID(request.proposal_id), request.comment, change)
        return pb.ApproveProposalResponse(proposal=messages.proposal(found))

    async def RejectProposal(self, request: pb.RejectProposalRequest, call: Call) -> pb.RejectProposalResponse:
        change = call.change_context(request)
        found = await self._proposals.reject(UUID(request.proposal_id), request.comment, change)
        return pb.RejectProposalResponse(proposal=messages.proposal(found))

    async def WithdrawProposal(self, request: pb.WithdrawProposalRequest, call: Call) -> pb.WithdrawProposalResponse:
        found = await self._proposals.withdraw(UUID(request.proposal_id), call.change_context(request))
        return pb.WithdrawProposalResponse(proposal=messages.proposal(found))
