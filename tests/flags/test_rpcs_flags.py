"""FlagService against a real server: from a flag's creation to its rollback."""

from uuid import uuid4

import pytest
from google.protobuf.message import Message

from backroom.flags.v1 import flag_service_pb2 as pb
from backroom.flags.v1 import flags_pb2
from tests.fixtures.servers import Api, Running, refusal
from tests.flags.calling import (
    OFF,
    ON,
    created,
    drafted,
    editing,
    explained,
    got,
    rolling,
    segment,
    struct,
    value,
    versions,
)

C = flags_pb2


@pytest.fixture
async def keeper(server: Running) -> Api:
    return await server.sign_in("manager")


async def test_a_flag_lives_from_its_creation_to_its_rollback(keeper: Api) -> None:
    """Each change is the next version, with who made it and why; a rollback is one, too."""
    first = await created(keeper, "dark-mode", owner="web")
    assert (first.version, first.type, first.state) == (1, C.FLAG_TYPE_BOOLEAN, ON)
    await keeper.flags.UpdateFlag(editing("dark-mode", "owner", owner="app"))
    await keeper.flags.SetRollout(rolling("dark-mode", on=25))
    await keeper.flags.SwitchOff(pb.SwitchOffRequest(key="dark-mode", comment="it burns"))
    assert (await got(keeper, "dark-mode")).state == OFF
    await keeper.flags.ArchiveFlag(pb.ArchiveFlagRequest(key="dark-mode"))
    assert (await got(keeper, "dark-mode")).archived
    back = (await keeper.flags.RollbackFlag(pb.RollbackFlagRequest(key="dark-mode", version=2))).flag
    assert (back.version, back.owner, back.state, back.archived) == (6, "app", ON, False)
    assert not back.HasField("targeting")
    found = await versions(keeper, "dark-mode")
    assert [each.flag.version for each in found] == [6, 5, 4, 3, 2, 1]
    names = [C.FlagChange.Name(each.change).removeprefix("FLAG_CHANGE_") for each in reversed(found)]
    assert names == ["CREATED", "UPDATED", "ROLLOUT", "SWITCHED_OFF", "ARCHIVED", "ROLLED_BACK"]
    assert found[2].comment == "it burns"
    assert {each.changed_by for each in found} == {str(keeper.account_id)}
    assert {each.approved_by for each in found} == {""}


async def test_a_flag_is_returned_as_it_was_given(keeper: Api) -> None:
    """All that a caller can say of one, whole numbers and nested values among it."""
    await created(keeper, "base")
    given = drafted(
        "big",
        {"a": {"sizes": [1, 2.5, None], "deep": {"x": True}}, "b": {}},
        {"if": [{"==": [{"var": "plan"}, "pro"]}, "a", None]},
        metadata=struct(team="web", level=3, on=False),
        prerequisites=[C.Prerequisite(flag_key="base", variants=["on"])],
        description="What it is for.",
        owner="web",
        ticket="T-1",
    )
    given.expire_time.FromJsonString("2030-01-02T03:04:05Z")
    made = (await keeper.flags.CreateFlag(pb.CreateFlagRequest(flag=given))).flag
    assert made == await got(keeper, "big")
    for name in ("variants", "targeting", "metadata", "prerequisites", "description", "owner", "ticket", "expire_time"):
        assert getattr(made, name) == getattr(given, name), name
    assert made.type == C.FLAG_TYPE_OBJECT


@pytest.mark.parametrize(
    ("variants", "kind"),
    [
        ({"a": 1, "b": 2}, C.FLAG_TYPE_INTEGER),
        ({"a": 1, "b": 2.5}, C.FLAG_TYPE_FLOAT),
        ({"a": "x"}, C.FLAG_TYPE_STRING),
        ({"a": True}, C.FLAG_TYPE_BOOLEAN),
        ({"a": {"b": 1}}, C.FLAG_TYPE_OBJECT),
    ],
)
async def test_the_type_is_what_the_variants_show(keeper: Api, variants: dict[str, object], kind: int) -> None:
    """Where a caller does not say it."""
    assert (await created(keeper, "f", variants)).type == kind


async def test_whole_numbers_can_be_floats(keeper: Api) -> None:
    """Where a caller says so; an edit that does not name the type keeps it."""
    await created(keeper, "f", {"a": 1, "b": 2}, type=C.FLAG_TYPE_FLOAT)
    edited = await keeper.flags.UpdateFlag(editing("f", "variants", variants={"a": value(3), "b": value(4)}))
    assert edited.flag.type == C.FLAG_TYPE_FLOAT


async def test_an_edit_changes_what_its_mask_names(keeper: Api) -> None:
    """No mask means what is set, a named field that is not set is cleared, and "*" is all of them."""
    await created(keeper, "f", owner="web", ticket="T-1", description="old")
    after = (await keeper.flags.UpdateFlag(editing("f", "owner", owner="app", ticket="T-2"))).flag
    assert (after.owner, after.ticket, after.version) == ("app", "T-1", 2)
    after = (await keeper.flags.UpdateFlag(editing("f", description="new"))).flag
    assert (after.owner, after.description) == ("app", "new")
    after = (await keeper.flags.UpdateFlag(editing("f", "ticket"))).flag
    assert (after.ticket, after.owner) == ("", "app")
    request = editing("f", "*", variants={"x": value("y")})
    after = (await keeper.flags.UpdateFlag(request)).flag
    assert (after.owner, after.default_variant, list(after.variants), after.type) == ("", "", ["x"], C.FLAG_TYPE_STRING)
    refused = await refusal(keeper.flags.UpdateFlag(editing("f", "archived")))
    assert (refused.reason, list(refused.fields)) == ("FIELD_INVALID", ["update_mask"])


async def test_an_edit_of_nothing_makes_no_version(keeper: Api) -> None:
    """Nor does a second switch off, or a second archiving."""
    await created(keeper, "f", owner="web")
    assert (await keeper.flags.UpdateFlag(editing("f", "owner", owner="web"))).flag.version == 1
    for _ in range(2):
        assert (await keeper.flags.SwitchOff(pb.SwitchOffRequest(key="f"))).flag.version == 2
    for _ in range(2):
        assert (await keeper.flags.ArchiveFlag(pb.ArchiveFlagRequest(key="f"))).flag.version == 3
    assert len(await versions(keeper, "f")) == 3


async def test_a_change_that_comes_too_late_is_refused(keeper: Api) -> None:
    """By the etag that was read, of every change that takes one."""
    etag = (await created(keeper, "f")).etag
    await keeper.flags.UpdateFlag(editing("f", "owner", owner="app", etag=etag))
    late = [
        keeper.flags.UpdateFlag(editing("f", "owner", owner="web", etag=etag)),
        keeper.flags.ArchiveFlag(pb.ArchiveFlagRequest(key="f", etag=etag)),
        keeper.flags.RollbackFlag(pb.RollbackFlagRequest(key="f", version=1, etag=etag)),
        keeper.flags.SetRollout(pb.SetRolloutRequest(key="f", etag=etag, rollout=rolling("f", on=1).rollout)),
    ]
    assert {(await refusal(each)).reason for each in late} == {"ETAG_MISMATCH"}
    assert (await got(keeper, "f")).version == 2


async def test_a_repeated_change_is_made_once(keeper: Api) -> None:
    """It is answered as it was at first; other content under its request_id is refused."""
    request_id = str(uuid4())
    making = pb.CreateFlagRequest(request_id=request_id, flag=drafted("f"))
    first = await keeper.flags.CreateFlag(making)
    requests: list[tuple[str, Message]] = [
        ("UpdateFlag", editing("f", "owner", owner="app")),
        ("SetRollout", rolling("f", on=10)),
        ("SwitchOff", pb.SwitchOffRequest(request_id=str(uuid4()), key="f")),
        ("ArchiveFlag", pb.ArchiveFlagRequest(request_id=str(uuid4()), key="f")),
        ("RollbackFlag", pb.RollbackFlagRequest(request_id=str(uuid4()), key="f", version=1)),
    ]
    answers = [await getattr(keeper.flags, name)(request) for name, request in requests]
    again = [await getattr(keeper.flags, name)(request) for name, request in requests]
    assert again == answers
    assert await keeper.flags.CreateFlag(making) == first
    assert len(await versions(keeper, "f")) == 6
    making.flag.owner = "app"
    assert (await refusal(keeper.flags.CreateFlag(making))).reason == "REQUEST_ID_REUSED"


async def test_what_is_not_there_is_refused(keeper: Api) -> None:
    """By its key, its flag set, or its version."""
    await created(keeper, "f")
    calls = {
        "FLAG_NOT_FOUND": [
            keeper.flags.GetFlag(pb.GetFlagRequest(key="g")),
            keeper.flags.GetFlag(pb.GetFlagRequest(key="f", flag_set_id="other")),
            keeper.flags.UpdateFlag(editing("g", "owner")),
            keeper.flags.SwitchOff(pb.SwitchOffRequest(key="g")),
            keeper.flags.ArchiveFlag(pb.ArchiveFlagRequest(key="g")),
            keeper.flags.SetRollout(rolling("g", on=1)),
            keeper.flags.RollbackFlag(pb.RollbackFlagRequest(key="g", version=1)),
            keeper.flags.ListFlagVersions(pb.ListFlagVersionsRequest(key="g")),
            keeper.flags.ExplainFlag(pb.ExplainFlagRequest(key="g")),
            keeper.flags.GetFlagUsage(pb.GetFlagUsageRequest(key="g")),
        ],
        "FLAG_VERSION_NOT_FOUND": [keeper.flags.RollbackFlag(pb.RollbackFlagRequest(key="f", version=2))],
        "FLAG_KEY_TAKEN": [keeper.flags.CreateFlag(pb.CreateFlagRequest(flag=drafted("f")))],
    }
    for reason, refused in calls.items():
        assert {(await refusal(each)).reason for each in refused} == {reason}


async def test_an_archived_flag_is_changed_by_a_rollback_alone(keeper: Api) -> None:
    """Its key stays taken."""
    await created(keeper, "f")
    await keeper.flags.ArchiveFlag(pb.ArchiveFlagRequest(key="f"))
    calls = [
        keeper.flags.UpdateFlag(editing("f", "owner", owner="x")),
        keeper.flags.SwitchOff(pb.SwitchOffRequest(key="f")),
        keeper.flags.SetRollout(rolling("f", on=1)),
    ]
    assert {(await refusal(each)).reason for each in calls} == {"FLAG_ARCHIVED"}
    assert (await refusal(keeper.flags.CreateFlag(pb.CreateFlagRequest(flag=drafted("f"))))).reason == "FLAG_KEY_TAKEN"


async def test_no_bad_flag_is_stored(keeper: Api) -> None:
    """The refusal names what is wrong by its path; nothing of the flag set is there afterwards."""
    bad = {
        "flag.variants": drafted("f", {}),
        "flag.default_variant": drafted("f", default_variant="none"),
        "flag.targeting.if[1]": drafted("f", targeting={"if": [True, "none"]}),
        "flag.targeting": drafted("f", targeting={"$ref": "nobody"}),
        "flag.prerequisites[0].flag_key": drafted("f", prerequisites=[C.Prerequisite(flag_key="g", variants=["on"])]),
    }
    for path, flag in bad.items():
        refused = await refusal(keeper.flags.CreateFlag(pb.CreateFlagRequest(flag=flag)))
        assert (refused.reason, list(refused.fields)) == ("FLAG_INVALID", [path])
    assert not (await keeper.flags.ListFlags(pb.ListFlagsRequest(show_archived=True))).flags
    assert (await refusal(keeper.flags.CreateFlag(pb.CreateFlagRequest(flag=drafted(""))))).reason == "FIELD_INVALID"


async def test_a_change_that_breaks_a_dependent_flag_is_refused(keeper: Api) -> None:
    """A variant that another flag needs stays, and so does the flag; no circle comes about."""
    await created(keeper, "base")
    needed = [C.Prerequisite(flag_key="base", variants=["on"])]
    await created(keeper, "top", prerequisites=needed)
    edit = editing("base", "variants", "default_variant", variants={"off": value(False)}, default_variant="off")
    refused = await refusal(keeper.flags.UpdateFlag(edit))
    assert (refused.reason, list(refused.fields)) == ("FLAG_INVALID", ["flags.top.prerequisites[0].variants"])
    refused = await refusal(keeper.flags.ArchiveFlag(pb.ArchiveFlagRequest(key="base")))
    assert (refused.reason, list(refused.preconditions)) == ("FLAG_IN_USE", ["top"])
    circle = editing("base", "prerequisites", prerequisites=[C.Prerequisite(flag_key="top", variants=["on"])])
    assert (await refusal(keeper.flags.UpdateFlag(circle))).reason == "FLAG_INVALID"
    assert (await got(keeper, "base")).version == 1


async def test_a_rollback_is_checked_as_things_are_now(keeper: Api) -> None:
    """What it refers to may be gone."""
    await segment(keeper, "staff", {"==": [{"var": "plan"}, "staff"]})
    await created(keeper, "f", targeting={"if": [{"$ref": "staff"}, "on"]})
    await keeper.flags.UpdateFlag(editing("f", "targeting"))
    from backroom.flags.v1 import flag_set_service_pb2

    await keeper.flag_sets.DeleteSegment(flag_set_service_pb2.DeleteSegmentRequest(name="staff"))
    refused = await refusal(keeper.flags.RollbackFlag(pb.RollbackFlagRequest(key="f", version=1)))
    assert refused.reason == "FLAG_INVALID"


async def test_a_rollout_grows_by_people_of_the_default_alone(keeper: Api) -> None:
    """Whoever has a variant keeps it as the shares grow; a flag that cannot be rolled out says why."""
    await created(keeper, "f", {"a": "A", "b": "B", "c": "C"})
    people = [f"user-{number}" for number in range(60)]
    before: dict[str, str] = {}
    for shares in ({"a": 10.0, "b": 10.0}, {"a": 30.0}, {"b": 25.5}):
        await keeper.flags.SetRollout(rolling("f", **shares))
        now = {who: (await explained(keeper, "f", targetingKey=who)).evaluation.variant for who in people}
        assert {who for who in people if before.get(who, "c") not in ("c", now[who])} == set()
        before = now
    assert {"a", "b", "c"} == set(before.values())
    await created(keeper, "g", targeting={"if": [{"var": "beta"}, "on", "off"]})
    refused = await refusal(keeper.flags.SetRollout(rolling("g", on=10)))
    assert (refused.reason, refused.metadata["flag_key"]) == ("ROLLOUT_UNSUITED", "g")
    refused = await refusal(keeper.flags.SetRollout(rolling("f", a=0.0001)))
    assert (refused.reason, list(refused.fields)) == ("FIELD_INVALID", ["rollout.shares"])


async def test_flags_are_listed_by_key_in_pages(keeper: Api) -> None:
    """Of one set, by how their keys begin, their state and their owner; archived ones where asked."""
    for key in ("b", "a", "ca", "cb"):
        await created(keeper, key, owner="web" if key < "c" else "app")
    await created(keeper, "z", flag_set_id="other")
    await keeper.flags.SwitchOff(pb.SwitchOffRequest(key="ca"))
    await keeper.flags.ArchiveFlag(pb.ArchiveFlagRequest(key="b"))

    async def listed(**given: object) -> list[str]:
        found = await keeper.flags.ListFlags(pb.ListFlagsRequest(**given))  # type: ignore[arg-type]
        return [flag.key for flag in found.flags]

    assert await listed() == ["a", "ca", "cb"]
    assert await listed(show_archived=True) == ["a", "b", "ca", "cb"]
    assert await listed(key_prefix="c") == ["ca", "cb"]
    assert await listed(state=OFF) == ["ca"]
    assert await listed(owner="app", state=ON) == ["cb"]
    assert await listed(flag_set_id="other") == ["z"]
    first = await keeper.flags.ListFlags(pb.ListFlagsRequest(page_size=2))
    second = pb.ListFlagsRequest(page_size=2, page_token=first.next_page_token)
    rest = await keeper.flags.ListFlags(second)
    assert [flag.key for flag in (*first.flags, *rest.flags)] == ["a", "ca", "cb"]
    assert rest.next_page_token == ""
    second.owner = "web"
    assert (await refusal(keeper.flags.ListFlags(second))).reason == "PAGE_TOKEN_INVALID"
    page = await keeper.flags.ListFlagVersions(pb.ListFlagVersionsRequest(key="b", page_size=1))
    token = page.next_page_token
    last = await keeper.flags.ListFlagVersions(pb.ListFlagVersionsRequest(key="b", page_size=1, page_token=token))
    assert [each.flag.version for each in (*page.versions, *last.versions)] == [2, 1]


async def test_who_may_not_change_flags_may_not(server: Running) -> None:
    """Each by its own permission: services evaluate, and managers keep."""
    service, nobody = await server.sign_in("service"), await server.sign_in("customer")
    for api in (service, nobody):
        calls = [
            api.flags.GetFlag(pb.GetFlagRequest(key="f")),
            api.flags.CreateFlag(pb.CreateFlagRequest(flag=drafted("f"))),
            api.flags.SwitchOff(pb.SwitchOffRequest(key="f")),
        ]
        assert {(await refusal(each)).reason for each in calls} == {"PERMISSION_MISSING"}
