"""Many callers change flags at once."""

import asyncio
from collections import Counter

import pytest

from backroom.flags.v1 import flag_service_pb2 as pb
from backroom.flags.v1 import proposal_service_pb2
from storage.database import Database
from storage.flags.store import FLAGS
from tests.fixtures.servers import Running
from tests.flags.calling import created, drafted, editing, got, rolling, versions, with_approval
from tests.races.test_stock import outcome, outcomes, repeated

CHANGES = 100


async def test_a_hundred_changes_at_once_come_one_after_the_other(server: Running) -> None:
    """Each is a version of its own, and the configuration's versions are in the order of the flag's."""
    keeper = await server.sign_in("manager")
    await created(keeper, "f")
    requests = [editing("f", "ticket", ticket=f"T-{number}") for number in range(CHANGES)]
    answers = await asyncio.gather(*(repeated(keeper.flags.UpdateFlag, each) for each in requests))
    assert sorted(answer.flag.version for answer in answers) == list(range(2, CHANGES + 2))
    assert len(await versions(keeper, "f")) == CHANGES + 1
    async with server.database.store(FLAGS).reading() as reading:
        flag = await reading.flags.find("", "f")
        assert flag is not None
        history = await reading.flags.list_versions(flag.id, before=None, limit=1000)
        newest = await reading.configuration.version()
    told = [each.configuration_version for each in reversed(history)]
    assert told == sorted(set(told))
    assert told[-1] == newest


async def test_two_approvals_at_once_make_one_change(database: Database) -> None:
    """The other one is told that it was decided."""
    async with with_approval(database) as (server, author, other):
        third = await server.sign_in("admin")
        for number in range(10):
            create = pb.CreateFlagRequest(flag=drafted(f"f-{number}"))
            proposal = (await author.flags.CreateFlag(create)).proposal
            approve = proposal_service_pb2.ApproveProposalRequest(proposal_id=proposal.proposal_id)
            found = await outcomes(api.proposals.ApproveProposal(approve) for api in (other, third))
            assert found == Counter({"ok": 1, "PROPOSAL_DECIDED": 1})
            assert len(await versions(author, f"f-{number}")) == 1


@pytest.mark.parametrize("attempt", range(5))
async def test_a_rollout_and_an_edit_at_once_both_stay(server: Running, attempt: int) -> None:
    """Unless one of them minds the other: by the etag, one alone goes through."""
    keeper = await server.sign_in("manager")
    etag = (await created(keeper, "f")).etag
    edit = editing("f", "owner", owner=f"web-{attempt}")
    await asyncio.gather(keeper.flags.SetRollout(rolling("f", on=25)), keeper.flags.UpdateFlag(edit))
    flag = await got(keeper, "f")
    assert (flag.version, flag.owner) == (3, f"web-{attempt}")
    assert "fractional" in flag.targeting
    minding = rolling("f", on=50)
    minding.etag = flag.etag
    late = editing("f", "owner", owner="app", etag=flag.etag)
    found = [outcome(keeper.flags.SetRollout(minding)), outcome(keeper.flags.UpdateFlag(late))]
    assert Counter(await asyncio.gather(*found)) == Counter({"ok": 1, "ETAG_MISMATCH": 1})
    assert etag != flag.etag
