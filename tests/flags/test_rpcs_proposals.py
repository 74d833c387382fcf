"""ProposalService against a real server: changes that need two pairs of eyes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from backroom.flags.v1 import flag_service_pb2, flag_sets_pb2, flags_pb2, proposals_pb2
from backroom.flags.v1 import flag_set_service_pb2 as sets
from backroom.flags.v1 import proposal_service_pb2 as pb
from storage.database import Database
from tests.fixtures.servers import Api, refusal
from tests.flags.calling import (
    OFF,
    drafted,
    editing,
    exported,
    got,
    imported,
    rolling,
    scheduling,
    value,
    versions,
    with_approval,
)

P = proposals_pb2


@pytest.fixture
async def two(database: Database) -> AsyncIterator[tuple[Api, Api]]:
    """Who proposes, and who approves, where changes need approval."""
    async with with_approval(database) as (_, author, other):
        yield author, other


def approving(proposal: P.Proposal, comment: str = "") -> pb.ApproveProposalRequest:
    return pb.ApproveProposalRequest(request_id=str(uuid4()), proposal_id=proposal.proposal_id, comment=comment)


async def approved(api: Api, proposal: P.Proposal) -> P.Proposal:
    found: P.Proposal = (await api.proposals.ApproveProposal(approving(proposal))).proposal
    return found


async def known(two: tuple[Api, Api], key: str) -> None:
    """A flag that was proposed by one and approved by the other."""
    author, other = two
    answer = await author.flags.CreateFlag(flag_service_pb2.CreateFlagRequest(flag=drafted(key)))
    await approved(other, answer.proposal)


async def test_a_change_waits_for_somebody_else(two: tuple[Api, Api]) -> None:
    """Nothing is there before; then it is as it was proposed, and the history names both."""
    author, other = two
    request = flag_service_pb2.CreateFlagRequest(request_id=str(uuid4()), flag=drafted("f", owner="web"))
    answer = await author.flags.CreateFlag(request)
    assert await author.flags.CreateFlag(request) == answer
    proposal = answer.proposal
    assert (answer.HasField("flag"), proposal.state, proposal.call) == (False, P.PROPOSAL_STATE_PENDING, "CreateFlag")
    assert (proposal.flag.owner, proposal.proposed_by) == ("web", str(author.account_id))
    assert (await refusal(author.flags.GetFlag(flag_service_pb2.GetFlagRequest(key="f")))).reason == "FLAG_NOT_FOUND"
    refused = await refusal(author.proposals.ApproveProposal(approving(proposal)))
    assert (refused.reason, refused.code.name) == ("OWN_PROPOSAL", "PERMISSION_DENIED")
    approve = approving(proposal, "good")
    done = await other.proposals.ApproveProposal(approve)
    assert await other.proposals.ApproveProposal(approve) == done
    decided = done.proposal
    assert (decided.state, decided.decided_by) == (P.PROPOSAL_STATE_APPROVED, str(other.account_id))
    assert decided.decision_comment == "good"
    assert (await got(author, "f")).owner == "web"
    (version,) = await versions(author, "f")
    assert (version.changed_by, version.approved_by) == (str(author.account_id), str(other.account_id))
    assert (await refusal(other.proposals.ApproveProposal(approving(proposal)))).reason == "PROPOSAL_DECIDED"
    assert (
        decided
        == (await author.proposals.GetProposal(pb.GetProposalRequest(proposal_id=proposal.proposal_id))).proposal
    )


async def test_every_kind_of_change_can_be_proposed(two: tuple[Api, Api]) -> None:
    """And does once approved what it would have done by itself."""
    author, other = two
    await known(two, "f")
    fs, rule = flag_service_pb2, value({"var": "staff"})
    edit = sets.UpdateSegmentRequest(segment=flag_sets_pb2.Segment(name="s", description="x"))
    create = sets.CreateSegmentRequest(segment=flag_sets_pb2.Segment(name="s", rule=rule))
    describe = sets.UpdateFlagSetRequest(flag_set=flag_sets_pb2.FlagSet(description="ours"))
    # A call is on its way as soon as it is made.
    calls: list[tuple[str, Callable[[], Awaitable[Any]]]] = [
        ("segment", lambda: author.flag_sets.CreateSegment(create)),
        ("flag", lambda: author.flags.UpdateFlag(editing("f", "owner", "expire_time", owner="app"))),
        ("flag", lambda: author.flags.SetRollout(rolling("f", on=12.5))),
        ("flag", lambda: author.flags.RollbackFlag(fs.RollbackFlagRequest(key="f", version=1))),
        ("segment", lambda: author.flag_sets.UpdateSegment(edit)),
        ("deleted_segment", lambda: author.flag_sets.DeleteSegment(sets.DeleteSegmentRequest(name="s"))),
        ("flag_set", lambda: author.flag_sets.UpdateFlagSet(describe)),
        ("flag", lambda: author.flags.ArchiveFlag(fs.ArchiveFlagRequest(key="f"))),
    ]
    for shown, call in calls:
        proposal = (await call()).proposal
        assert (proposal.state, proposal.WhichOneof("change")) == (P.PROPOSAL_STATE_PENDING, shown)
        await approved(other, proposal)
    found = [flags_pb2.FlagChange.Name(each.change) for each in reversed(await versions(author, "f"))]
    assert [name.removeprefix("FLAG_CHANGE_") for name in found] == [
        "CREATED",
        "UPDATED",
        "ROLLOUT",
        "ROLLED_BACK",
        "ARCHIVED",
    ]
    document = {"flags": {"g": {"state": "ENABLED", "variants": {"on": True}}}}
    proposal = (await imported(author, document)).proposal
    assert (proposal.WhichOneof("change"), getattr(proposal, "import").created_count) == ("import", 1)
    await approved(other, proposal)
    assert await exported(author) == document


async def test_an_outdated_proposal_says_so(two: tuple[Api, Api]) -> None:
    """Once what it is about has changed otherwise; and stays so."""
    author, other = two
    await known(two, "f")
    first = (await author.flags.UpdateFlag(editing("f", "owner", owner="a"))).proposal
    second = (await author.flags.UpdateFlag(editing("f", "owner", owner="b"))).proposal
    await approved(other, first)
    approve = approving(second)
    for _ in range(2):
        refused = await refusal(other.proposals.ApproveProposal(approve))
        assert (refused.reason, refused.code.name) == ("PROPOSAL_OUTDATED", "ABORTED")
    found = await author.proposals.ListProposals(pb.ListProposalsRequest(state=P.PROPOSAL_STATE_OUTDATED))
    assert [each.proposal_id for each in found.proposals] == [second.proposal_id]
    assert (await got(author, "f")).owner == "a"


async def test_a_proposal_is_rejected_or_withdrawn(two: tuple[Api, Api]) -> None:
    """Rejected by another account, or withdrawn by its author; not the other way round."""
    author, other = two
    first, second = [
        (await author.flags.CreateFlag(flag_service_pb2.CreateFlagRequest(flag=drafted(key)))).proposal
        for key in ("f", "g")
    ]
    reject = pb.RejectProposalRequest(request_id=str(uuid4()), proposal_id=first.proposal_id, comment="no")
    withdraw = pb.WithdrawProposalRequest(request_id=str(uuid4()), proposal_id=second.proposal_id)
    assert (await refusal(author.proposals.RejectProposal(reject))).reason == "OWN_PROPOSAL"
    assert (await refusal(other.proposals.WithdrawProposal(withdraw))).reason == "PROPOSAL_NOT_FOUND"
    assert (await other.proposals.RejectProposal(reject)).proposal.state == P.PROPOSAL_STATE_REJECTED
    assert (await author.proposals.WithdrawProposal(withdraw)).proposal.state == P.PROPOSAL_STATE_WITHDRAWN
    assert (await refusal(other.proposals.ApproveProposal(approving(first)))).reason == "PROPOSAL_DECIDED"
    missing = pb.GetProposalRequest(proposal_id=str(uuid4()))
    assert (await refusal(author.proposals.GetProposal(missing))).reason == "PROPOSAL_NOT_FOUND"
    page = await author.proposals.ListProposals(pb.ListProposalsRequest(page_size=1))
    rest = await author.proposals.ListProposals(pb.ListProposalsRequest(page_token=page.next_page_token))
    assert [each.flag.key for each in (*page.proposals, *rest.proposals)] == ["g", "f"]


async def test_switching_off_never_waits(two: tuple[Api, Api]) -> None:
    """Nor does a bad change: it is refused as it is proposed."""
    author, _ = two
    await known(two, "f")
    off = await author.flags.SwitchOff(flag_service_pb2.SwitchOffRequest(key="f"))
    assert off.flag.state == OFF
    bad = editing("f", "default_variant", default_variant="none")
    assert (await refusal(author.flags.UpdateFlag(bad))).reason == "FLAG_INVALID"


async def test_a_schedule_begins_once_it_is_approved(two: tuple[Api, Api]) -> None:
    """One that is rejected never does."""
    author, other = two
    await known(two, "f")
    first = await author.flags.ScheduleFlagChange(scheduling("f", 60))
    assert (first.schedule.state, first.proposal.call) == (flags_pb2.SCHEDULE_STATE_PROPOSED, "ScheduleFlagChange")
    await approved(other, first.proposal)
    second = await author.flags.ScheduleFlagChange(scheduling("f", 60))
    await other.proposals.RejectProposal(pb.RejectProposalRequest(proposal_id=second.proposal.proposal_id))
    states = [
        (
            await author.flags.GetFlagSchedule(
                flag_service_pb2.GetFlagScheduleRequest(schedule_id=each.schedule.schedule_id)
            )
        ).schedule.state
        for each in (first, second)
    ]
    assert states == [flags_pb2.SCHEDULE_STATE_ACTIVE, flags_pb2.SCHEDULE_STATE_CANCELED]
