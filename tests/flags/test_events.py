"""What others learn of changes of flags: one event for each, which says what changed and nothing of what it holds."""

import json
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from backroom.flags.v1 import flag_service_pb2 as pb
from backroom.flags.v1 import flag_set_service_pb2 as sets
from backroom.flags.v1 import proposal_service_pb2
from server.flags.rules.events import EVENT_TYPES
from storage.database import Database
from storage.store import FRAME
from tests.fixtures.servers import Api, Running, refusal
from tests.flags.calling import (
    created,
    drafted,
    editing,
    imported,
    rolling,
    scheduling,
    segment,
    value,
    with_approval,
)
from tests.flags.test_rpcs_scheduling import take_steps

SECRET = "hunter2-hunter2"


@pytest.fixture
async def keeper(server: Running) -> Api:
    return await server.sign_in("manager")


async def events(database: Database) -> list[tuple[str, dict[str, Any]]]:
    """The types and contents of all events of flags, in their order."""
    async with database.store(FRAME).transaction() as tx:
        statement = "SELECT type, data FROM frame.events WHERE type LIKE 'flag%' ORDER BY sequence"
        rows = (await tx._connection.execute(text(statement))).fetchall()
    return [(row.type, row.data if isinstance(row.data, dict) else json.loads(row.data)) for row in rows]


async def test_each_change_of_a_flag_is_one_event(server: Running, keeper: Api) -> None:
    """A repeated request and a refused one make none; an import makes one for each flag that differs."""
    request = pb.CreateFlagRequest(request_id=str(uuid4()), flag=drafted("f"), comment="why")
    for _ in range(2):
        await keeper.flags.CreateFlag(request)
    await keeper.flags.UpdateFlag(editing("f", "owner", owner="ada"))
    await refusal(keeper.flags.UpdateFlag(editing("f", "default_variant", default_variant="none")))
    await keeper.flags.SetRollout(rolling("f", on=10))
    await keeper.flags.SwitchOff(pb.SwitchOffRequest(key="f"))
    await keeper.flags.RollbackFlag(pb.RollbackFlagRequest(key="f", version=1))
    await keeper.flags.ArchiveFlag(pb.ArchiveFlagRequest(key="f"))
    flags = {key: {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"} for key in ("a", "b")}
    await imported(keeper, {"flags": flags})
    flags["b"]["state"] = "DISABLED"
    await imported(keeper, {"flags": flags})
    found = await events(server.database)
    assert {kind for kind, _ in found} == {"flag.changed"}
    assert [(each["key"], each["change"], each["version"]) for _, each in found] == [
        ("f", "created", 1),
        ("f", "updated", 2),
        ("f", "rollout", 3),
        ("f", "switched_off", 4),
        ("f", "rolled_back", 5),
        ("f", "archived", 6),
        *[("a", "imported", 1), ("b", "imported", 1), ("b", "imported", 2)],
    ]
    first, last = found[0][1], found[-1][1]
    assert (first["comment"], first["changed_by"], first["archived"]) == ("why", str(keeper.account_id), False)
    assert (last["state"], found[5][1]["archived"], first["flag_set_id"]) == ("disabled", True, "")


async def test_each_change_of_a_segment_is_one_event(server: Running, keeper: Api) -> None:
    """The flags that refer to it have none: they are as they were written."""
    await segment(keeper, "staff", {"==": [{"var": "plan"}, "staff"]})
    await created(keeper, "f", targeting={"if": [{"$ref": "staff"}, "on"]})
    edit = sets.UpdateSegmentRequest()
    edit.segment.name = "staff"
    edit.segment.rule.CopyFrom(value({"==": [{"var": "plan"}, "crew"]}))
    edit.update_mask.paths.append("rule")
    await keeper.flag_sets.UpdateSegment(edit)
    await keeper.flags.UpdateFlag(editing("f", "targeting"))
    await keeper.flag_sets.DeleteSegment(sets.DeleteSegmentRequest(name="staff"))
    found = [each for kind, each in await events(server.database) if kind == "flag_segment.changed"]
    assert [(each["name"], each["version"], each["deleted"]) for each in found] == [
        ("staff", 1, False),
        ("staff", 2, False),
        ("staff", 3, True),
    ]
    assert {each["changed_by"] for each in found} == {str(keeper.account_id)}


async def test_what_flags_hold_is_in_no_event(database: Database) -> None:
    """Neither values, nor rules, nor who owns them and why; whoever may read flags asks for that."""
    async with with_approval(database) as (server, author, other):
        whole = drafted(
            "f",
            {"a": SECRET, "b": "other"},
            {"if": [{"==": [{"var": "email"}, SECRET]}, "a"]},
            description=SECRET,
            owner=SECRET,
            ticket=SECRET,
        )
        whole.metadata.update({"note": SECRET})
        answer = await author.flags.CreateFlag(pb.CreateFlagRequest(flag=whole))
        proposal_id = answer.proposal.proposal_id
        await other.proposals.ApproveProposal(proposal_service_pb2.ApproveProposalRequest(proposal_id=proposal_id))
        made = sets.CreateSegmentRequest()
        made.segment.name, made.segment.description = "staff", SECRET
        made.segment.rule.CopyFrom(value({"==": [{"var": "email"}, SECRET]}))
        answer = await author.flag_sets.CreateSegment(made)
        proposal_id = answer.proposal.proposal_id
        await other.proposals.RejectProposal(proposal_service_pb2.RejectProposalRequest(proposal_id=proposal_id))
        found = await events(database)
        assert [kind for kind, _ in found] == [
            "flag_proposal.created",
            "flag.changed",
            "flag_proposal.decided",
            "flag_proposal.created",
            "flag_proposal.decided",
        ]
        decided = [each for kind, each in found if kind == "flag_proposal.decided"]
        assert [each["state"] for each in decided] == ["approved", "rejected"]
        assert {each["decided_by"] for each in decided} == {str(other.account_id)}
        assert {each["proposed_by"] for each in decided} == {str(author.account_id)}
        assert SECRET not in json.dumps(found)
        assert server.database is database


async def test_a_step_that_fails_is_an_event_and_one_that_is_taken_is_a_change(server: Running, keeper: Api) -> None:
    """So that somebody looks at a schedule that waits."""
    await created(keeper, "f")
    await keeper.flags.ScheduleFlagChange(scheduling("f", -10))
    await take_steps(server)
    await keeper.flags.ScheduleFlagChange(scheduling("f", -10))
    await keeper.flags.ArchiveFlag(pb.ArchiveFlagRequest(key="f"))
    await take_steps(server)
    await take_steps(server)
    found = await events(server.database)
    assert [(kind, each.get("change")) for kind, each in found] == [
        ("flag.changed", "created"),
        ("flag.changed", "scheduled"),
        ("flag.changed", "archived"),
        ("flag_schedule.failed", None),
    ]
    failed = found[-1][1]
    assert (failed["flag_key"], failed["taken_count"], failed["created_by"]) == ("f", 0, str(keeper.account_id))
    assert "archived" in failed["error"]
    assert {kind for kind, _ in found} <= set(EVENT_TYPES)
