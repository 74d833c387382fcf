"""Who decides on a change that needs two pairs of eyes."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from server.flags.errors import OwnProposal, ProposalDecided, ProposalNotFound
from storage.flags.records import Proposal, ProposalState


def decided(proposal: Proposal, state: ProposalState, by: UUID, comment: str, now: datetime) -> Proposal:
    """The proposal as somebody else decided on it; raises OwnProposal, ProposalDecided."""
    if by == proposal.proposed_by:
        raise OwnProposal
    return _ended(proposal, state, by, comment, now)


def withdrawn(proposal: Proposal, by: UUID, now: datetime) -> Proposal:
    """The proposal as taken back; raises ProposalNotFound where it is another's, and ProposalDecided."""
    if by != proposal.proposed_by:
        raise ProposalNotFound(proposal_id=str(proposal.id))
    return _ended(proposal, ProposalState.WITHDRAWN, by, "", now)


def outdated(proposal: Proposal, by: UUID, now: datetime) -> Proposal:
    """The proposal whose subject has changed otherwise in the meantime, as whoever would approve it finds."""
    return _ended(proposal, ProposalState.OUTDATED, by, "", now)


def _ended(proposal: Proposal, state: ProposalState, by: UUID, comment: str, now: datetime) -> Proposal:
    if proposal.state is not ProposalState.PENDING:
        raise ProposalDecided(state=proposal.state)
    return replace(proposal, state=state, decided_by=by, decision_comment=comment, decide_time=now)
