"""FlagSetService against a real server: flag sets, and the segments that their flags share."""

from uuid import uuid4

import pytest

from backroom.flags.v1 import flag_service_pb2, flag_sets_pb2
from backroom.flags.v1 import flag_set_service_pb2 as pb
from tests.fixtures.servers import Api, Running, refusal
from tests.flags.calling import created, explained, segment, struct, value

STAFF = {"ends_with": [{"var": "email"}, "@example.com"]}


@pytest.fixture
async def keeper(server: Running) -> Api:
    return await server.sign_in("manager")


def setting(flag_set_id: str = "", *mask: str, etag: str = "", **values: object) -> pb.UpdateFlagSetRequest:
    given = flag_sets_pb2.FlagSet(flag_set_id=flag_set_id, etag=etag, **values)  # type: ignore[arg-type]
    request = pb.UpdateFlagSetRequest(request_id=str(uuid4()), flag_set=given)
    request.update_mask.paths.extend(mask)
    return request


def editing(name: str, *mask: str, etag: str = "", **values: object) -> pb.UpdateSegmentRequest:
    given = flag_sets_pb2.Segment(name=name, etag=etag, **values)  # type: ignore[arg-type]
    request = pb.UpdateSegmentRequest(request_id=str(uuid4()), segment=given)
    request.update_mask.paths.extend(mask)
    return request


async def test_a_flag_set_is_made_by_its_first_flag_or_by_itself(keeper: Api) -> None:
    """Its fields are changed by a mask, and a repeated change gets the same answer."""
    assert (await refusal(keeper.flag_sets.GetFlagSet(pb.GetFlagSetRequest()))).reason == "FLAG_SET_NOT_FOUND"
    await created(keeper, "f")
    first = (await keeper.flag_sets.GetFlagSet(pb.GetFlagSetRequest())).flag_set
    request = setting("", "metadata", etag=first.etag, metadata=struct(team="web", level=2))
    answer = await keeper.flag_sets.UpdateFlagSet(request)
    assert answer == await keeper.flag_sets.UpdateFlagSet(request)
    assert answer.flag_set.metadata == struct(team="web", level=2)
    late = setting("", "description", etag=first.etag, description="x")
    assert (await refusal(keeper.flag_sets.UpdateFlagSet(late))).reason == "ETAG_MISMATCH"
    made = (await keeper.flag_sets.UpdateFlagSet(setting("shop", description="The shop's."))).flag_set
    assert made == (await keeper.flag_sets.GetFlagSet(pb.GetFlagSetRequest(flag_set_id="shop"))).flag_set
    assert made.description == "The shop's."
    refused = await refusal(keeper.flag_sets.UpdateFlagSet(setting("shop", "etag")))
    assert refused.reason == "FIELD_INVALID"
    refused = await refusal(keeper.flag_sets.UpdateFlagSet(setting("shop", metadata=struct(deep={"a": 1}))))
    assert (refused.reason, list(refused.fields)) == ("FLAG_INVALID", ["flag_set.metadata.deep"])


async def test_flag_sets_are_listed_by_id_in_pages(keeper: Api) -> None:
    """The one without an id is the first."""
    for set_id in ("b", "", "a"):
        await created(keeper, "f", flag_set_id=set_id)
    first = await keeper.flag_sets.ListFlagSets(pb.ListFlagSetsRequest(page_size=2))
    rest = await keeper.flag_sets.ListFlagSets(pb.ListFlagSetsRequest(page_size=2, page_token=first.next_page_token))
    assert [each.flag_set_id for each in (*first.flag_sets, *rest.flag_sets)] == ["", "a", "b"]
    assert rest.next_page_token == ""


async def test_flags_follow_their_segment(keeper: Api) -> None:
    """As soon as the change of it is answered."""
    made = await segment(keeper, "staff", STAFF)
    assert made.version == 1
    await created(keeper, "f", targeting={"if": [{"$ref": "staff"}, "on"]})
    assert (await explained(keeper, "f", email="joe@example.com")).evaluation.variant == "on"
    other = {"ends_with": [{"var": "email"}, "@example.org"]}
    edit = editing("staff", "rule", rule=value(other), etag=made.etag)
    after = (await keeper.flag_sets.UpdateSegment(edit)).segment
    assert (after.version, after.rule) == (2, value(other))
    assert (await explained(keeper, "f", email="joe@example.com")).evaluation.variant == "off"
    assert (await refusal(keeper.flag_sets.UpdateSegment(editing("staff", "rule", etag=made.etag)))).reason == (
        "ETAG_MISMATCH"
    )
    refused = await refusal(keeper.flag_sets.UpdateSegment(editing("staff", "rule", rule=value({"nonsense": [1]}))))
    assert (refused.reason, list(refused.fields)) == ("FLAG_INVALID", ["segment.rule"])


async def test_a_segment_in_use_stays(keeper: Api) -> None:
    """The refusal names what refers to it; once nothing does, it can be deleted, and its name used again."""
    await segment(keeper, "staff", STAFF)
    await segment(keeper, "insiders", {"or": [{"$ref": "staff"}, {"var": "insider"}]})
    await created(keeper, "f", targeting={"if": [{"$ref": "staff"}, "on"]})
    delete = pb.DeleteSegmentRequest(request_id=str(uuid4()), name="staff")
    refused = await refusal(keeper.flag_sets.DeleteSegment(delete))
    assert (refused.reason, set(refused.preconditions)) == ("SEGMENT_IN_USE", {"flags.f", "$evaluators.insiders"})
    await keeper.flags.ArchiveFlag(flag_service_pb2.ArchiveFlagRequest(key="f"))
    await keeper.flag_sets.DeleteSegment(pb.DeleteSegmentRequest(name="insiders"))
    await keeper.flag_sets.DeleteSegment(delete)
    await keeper.flag_sets.DeleteSegment(delete)
    for call in (
        keeper.flag_sets.GetSegment(pb.GetSegmentRequest(name="staff")),
        keeper.flag_sets.UpdateSegment(editing("staff", "description", description="x")),
        keeper.flag_sets.DeleteSegment(pb.DeleteSegmentRequest(name="staff")),
    ):
        assert (await refusal(call)).reason == "SEGMENT_NOT_FOUND"
    again = await segment(keeper, "staff", {"var": "staff"}, description="Ours.")
    assert (again.version, again.description) == (3, "Ours.")
    assert again == (await keeper.flag_sets.GetSegment(pb.GetSegmentRequest(name="staff"))).segment


async def test_a_segment_is_made_once(keeper: Api) -> None:
    """A name that is taken, missing, or without a rule is refused; one set's segments are not another's."""
    await segment(keeper, "staff", STAFF)
    again = pb.CreateSegmentRequest(segment=flag_sets_pb2.Segment(name="staff", rule=value(STAFF)))
    assert (await refusal(keeper.flag_sets.CreateSegment(again))).reason == "SEGMENT_NAME_TAKEN"
    again.segment.name = ""
    assert (await refusal(keeper.flag_sets.CreateSegment(again))).reason == "FIELD_INVALID"
    without = pb.CreateSegmentRequest(segment=flag_sets_pb2.Segment(name="other"))
    assert (await refusal(keeper.flag_sets.CreateSegment(without))).reason == "FLAG_INVALID"
    await segment(keeper, "staff", STAFF, flag_set_id="shop")
    await segment(keeper, "admins", STAFF)
    first = await keeper.flag_sets.ListSegments(pb.ListSegmentsRequest(page_size=1))
    token = first.next_page_token
    rest = await keeper.flag_sets.ListSegments(pb.ListSegmentsRequest(page_size=1, page_token=token))
    assert [each.name for each in (*first.segments, *rest.segments)] == ["admins", "staff"]


async def test_two_segments_do_not_refer_to_each_other(keeper: Api) -> None:
    """Nobody could be evaluated by them."""
    await segment(keeper, "a", {"var": "a"})
    await segment(keeper, "b", {"!": [{"$ref": "a"}]})
    refused = await refusal(keeper.flag_sets.UpdateSegment(editing("a", "rule", rule=value({"$ref": "b"}))))
    assert refused.reason == "FLAG_INVALID"
