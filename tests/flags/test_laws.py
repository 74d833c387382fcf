"""`backroom verify` on flags: each planted damage is found by the law that it breaks."""

from collections.abc import Sequence

from backroom.flags.v1 import flag_service_pb2 as pb
from backroom.flags.v1 import flag_set_service_pb2 as sets
from backroom.flags.v1 import proposal_service_pb2
from storage.database import Database
from tests.cli.test_verify import broken_by
from tests.fixtures.servers import Api
from tests.flags.calling import drafted, editing, value, with_approval
from tests.invariants import broken

SECOND = "version = 2 AND flag_id = (SELECT id FROM flags.flags WHERE key = 'twice')"
UNCHECKED = "ALTER TABLE flags.proposals DROP CONSTRAINT ck_proposals_two_pairs_of_eyes"
DAMAGES: Sequence[tuple[str, str, str]] = (
    ("a state that no version has", "I14", "UPDATE flags.flags SET state = 'disabled' WHERE key = 'once'"),
    ("a type that no version has", "I14", "UPDATE flags.flags SET type = 'string' WHERE key = 'once'"),
    ("a flag that is archived in silence", "I14", "UPDATE flags.flags SET archived = true WHERE key = 'once'"),
    ("another key", "I14", "UPDATE flags.flags SET key = 'other' WHERE key = 'once'"),
    (
        "a default that nobody chose",
        "I14",
        "UPDATE flags.flags SET document = jsonb_set(document, '{default_variant}', '\"on\"') WHERE key = 'once'",
    ),
    (
        "a targeting that nobody wrote",
        "I14",
        'UPDATE flags.flags SET document = document || \'{"targeting": {"if": [true, "on"]}}\' WHERE key = \'once\'',
    ),
    (
        "a variant too many",
        "I14",
        "UPDATE flags.flags SET document = jsonb_set(document, '{variants,more}', 'true') WHERE key = 'once'",
    ),
    (
        "a variant too few",
        "I14",
        "UPDATE flags.flags SET document = document #- '{variants,on}' WHERE key = 'once'",
    ),
    (
        "a prerequisite that was lost",
        "I14",
        "UPDATE flags.flags SET document = jsonb_set(document, '{prerequisites}', '[]') WHERE key = 'twice'",
    ),
    ("another owner", "I14", "UPDATE flags.flags SET owner = 'mallory' WHERE key = 'once'"),
    ("a history that was written anew", "I14", f"UPDATE flags.flag_versions SET document = '{{}}' WHERE {SECOND}"),
    (
        "a change that reaches no server",
        "I14",
        "UPDATE flags.flags SET configuration_version = configuration_version - 1 WHERE key = 'once'",
    ),
    (
        "a segment whose rule no version has",
        "I14",
        "UPDATE flags.segments SET rule = 'true' WHERE name = 'staff'",
    ),
    ("the last version lost", "I14", f"DELETE FROM flags.flag_versions WHERE {SECOND}"),
    ("the last version lost", "I15", f"DELETE FROM flags.flag_versions WHERE {SECOND}"),
    ("an early version lost", "I15", "DELETE FROM flags.flag_versions WHERE version = 1"),
    ("the version counted on", "I15", "UPDATE flags.flags SET version = version + 1 WHERE key = 'once'"),
    ("a segment's version lost", "I15", "DELETE FROM flags.segment_versions WHERE version = 1"),
    ("a segment without any version", "I15", "DELETE FROM flags.segment_versions"),
    (
        "a flag's versions out of order",
        "I15",
        f"UPDATE flags.flag_versions SET configuration_version = 1 WHERE {SECOND}",
    ),
    (
        "a segment's versions out of order",
        "I15",
        "UPDATE flags.segment_versions SET configuration_version = 1 WHERE version = 2",
    ),
    ("a version that went back", "I16", "UPDATE flags.configuration SET version = 1"),
    ("no version at all", "I16", "DELETE FROM flags.configuration"),
    (
        "a segment from the future",
        "I16",
        "UPDATE flags.segments SET configuration_version = configuration_version + 3600000000",
    ),
    (
        "a flag set from the future",
        "I16",
        "UPDATE flags.flag_sets SET configuration_version = configuration_version + 3600000000",
    ),
    ("a flag that its author approved", "I17", "UPDATE flags.flag_versions SET approved_by = changed_by"),
    ("a segment that its author approved", "I17", "UPDATE flags.segment_versions SET approved_by = changed_by"),
    (
        "a proposal that its author approved",
        "I17",
        f"{UNCHECKED}; UPDATE flags.proposals SET decided_by = proposed_by",
    ),
    (
        "an approval of nobody's",
        "I17",
        "UPDATE flags.proposals SET decided_by = NULL WHERE state = 'approved'",
    ),
)


async def make_flags(author: Api, other: Api) -> None:
    """A flag as it was made, one with two versions and a prerequisite, and a segment with two; all were approved."""

    async def approve(proposal_id: str) -> None:
        request = proposal_service_pb2.ApproveProposalRequest(proposal_id=proposal_id)
        await other.proposals.ApproveProposal(request)

    async def propose(service: str, method: str, request: object) -> None:
        answer = await getattr(getattr(author, service), method)(request)
        await approve(answer.proposal.proposal_id)

    await propose("flags", "CreateFlag", pb.CreateFlagRequest(flag=drafted("once")))
    needs = [{"flag_key": "once", "variants": ["on"]}]
    await propose("flags", "CreateFlag", pb.CreateFlagRequest(flag=drafted("twice", prerequisites=needs)))
    await propose("flags", "UpdateFlag", editing("twice", "owner", owner="ada"))
    made = sets.CreateSegmentRequest()
    made.segment.name = "staff"
    made.segment.rule.CopyFrom(value({"==": [{"var": "team"}, "staff"]}))
    await propose("flag_sets", "CreateSegment", made)
    edit = sets.UpdateSegmentRequest(segment=made.segment)
    edit.segment.rule.CopyFrom(value({"==": [{"var": "team"}, "crew"]}))
    edit.update_mask.paths.append("rule")
    await propose("flag_sets", "UpdateSegment", edit)


async def test_each_planted_damage_is_found(database: Database) -> None:
    """By the law that it breaks; flags as the services leave them break none."""
    async with with_approval(database) as (_, author, other):
        await make_flags(author, other)
        assert await broken(database) == {}
        missed = []
        for damage, law, statements in DAMAGES:
            found = await broken_by(database, statements.split(";"))
            if law not in found:
                missed.append((damage, law, found))
        assert not missed
        assert await broken(database) == {}
