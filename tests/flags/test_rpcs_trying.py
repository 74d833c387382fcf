"""ExplainFlag and TryFlag: why a flag evaluates as it does, and what a change would do."""

import pytest

from backroom.flags.v1 import flag_service_pb2 as pb
from backroom.flags.v1 import flags_pb2
from tests.fixtures.servers import Api, Running, refusal
from tests.flags.calling import created, drafted, editing, explained, got, rolling, rollout, segment, struct

RULE = {"if": [{"==": [{"var": "plan"}, "pro"]}, "on", {"fractional": [["on", 25], ["off", 75]]}]}


@pytest.fixture
async def keeper(server: Running) -> Api:
    return await server.sign_in("manager")


async def test_an_explanation_names_the_rule_and_the_bucket(keeper: Api) -> None:
    """With the configuration that was asked, which grows with each change."""
    await created(keeper, "f", targeting=RULE)
    pro = await explained(keeper, "f", targetingKey="joe", plan="pro")
    assert (pro.evaluation.variant, pro.evaluation.reason) == ("on", "TARGETING_MATCH")
    assert [(each.path, each.matched) for each in pro.rules] == [("targeting.if[0]", True)]
    assert not pro.buckets
    free = await explained(keeper, "f", targetingKey="joe", plan="free")
    (bucket,) = free.buckets
    assert (bucket.path, bucket.total_weight, bucket.variant) == ("targeting.if[2]", 100, free.evaluation.variant)
    assert 0 <= bucket.bucket < 100
    assert f"bucket {bucket.bucket} of 100" in free.summary
    await keeper.flags.SwitchOff(pb.SwitchOffRequest(key="f"))
    off = await explained(keeper, "f", targetingKey="joe", plan="pro")
    assert (off.evaluation.reason, off.evaluation.HasField("value")) == ("DISABLED", False)
    assert off.configuration_version > free.configuration_version


async def test_an_explanation_names_prerequisites_and_errors(keeper: Api) -> None:
    """What another flag evaluates to, and what the targeting failed with."""
    await created(keeper, "base", targeting={"if": [{"var": "in"}, "on"]})
    await created(
        keeper,
        "f",
        targeting={"if": [True, "on"]},
        prerequisites=[flags_pb2.Prerequisite(flag_key="base", variants=["on"])],
    )
    out = await explained(keeper, "f")
    assert (out.evaluation.variant, out.prerequisites[0].met) == ("off", False)
    assert out.prerequisites[0].evaluation.variant == "off"
    assert (await explained(keeper, "f", **{"in": True})).prerequisites[0].met
    await created(keeper, "broken", targeting={"if": [{">": [{"/": [1, {"var": "n"}]}, 1]}, "on"]})
    failed = await explained(keeper, "broken", n=0)
    assert (failed.evaluation.reason, failed.evaluation.variant) == ("ERROR", "")
    assert "division" in failed.evaluation.error.lower()


async def test_a_change_is_tried_on_contexts(keeper: Api) -> None:
    """Beside the flag as it stands, and nothing is changed."""
    await created(keeper, "f", targeting=RULE)
    contexts = [struct(targetingKey=f"u{number}", plan="pro" if number < 3 else "free") for number in range(40)]
    edit = editing("f", "targeting", targeting=struct(**{"if": [{"==": [{"var": "plan"}, "pro"]}, "off", "on"]}))
    given = flags_pb2.FlagEdit(flag=edit.flag, update_mask=edit.update_mask)
    tried = await keeper.flags.TryFlag(pb.TryFlagRequest(key="f", edit=given, contexts=contexts))
    assert [each.tried.variant for each in tried.trials] == ["off"] * 3 + ["on"] * 37
    changed = [each for each in tried.trials if each.current.variant != each.tried.variant]
    assert tried.changed_count == len(changed) > 3
    assert (tried.flag.version, (await got(keeper, "f")).version) == (2, 1)
    out = await keeper.flags.TryFlag(pb.TryFlagRequest(key="f", rollout=rollout(on=100), contexts=contexts))
    assert {each.tried.variant for each in out.trials} == {"on"}
    await keeper.flags.SetRollout(rolling("f", on=100))
    done = await keeper.flags.TryFlag(pb.TryFlagRequest(key="f", rollout=rollout(on=100), contexts=contexts))
    assert done.changed_count == 0


async def test_a_flag_that_is_not_there_can_be_tried(keeper: Api) -> None:
    """As CreateFlag would make it; with the segments of its set."""
    await segment(keeper, "staff", {"var": "staff"})
    given = flags_pb2.FlagEdit(flag=drafted("f", targeting={"if": [{"$ref": "staff"}, "on"]}))
    request = pb.TryFlagRequest(key="f", edit=given, contexts=[struct(staff=True), struct()])
    tried = await keeper.flags.TryFlag(request)
    assert [(each.HasField("current"), each.tried.variant) for each in tried.trials] == [(False, "on"), (False, "off")]
    assert (await refusal(keeper.flags.GetFlag(pb.GetFlagRequest(key="f")))).reason == "FLAG_NOT_FOUND"


async def test_a_bad_change_cannot_be_tried(keeper: Api) -> None:
    """It is refused as it would be if it were made."""
    await created(keeper, "f", targeting={"if": [{"var": "x"}, "on", "off"]})

    def trying(**change: object) -> pb.TryFlagRequest:
        return pb.TryFlagRequest(key="f", contexts=[struct()], **change)  # type: ignore[arg-type]

    bad = flags_pb2.FlagEdit(flag=flags_pb2.Flag(default_variant="none"))
    assert (await refusal(keeper.flags.TryFlag(trying(edit=bad)))).reason == "FLAG_INVALID"
    bad.update_mask.paths.append("key")
    assert (await refusal(keeper.flags.TryFlag(trying(edit=bad)))).reason == "FIELD_INVALID"
    assert (await refusal(keeper.flags.TryFlag(trying(rollout=rollout(on=1))))).reason == "ROLLOUT_UNSUITED"
    missing = pb.TryFlagRequest(key="g", contexts=[struct()], rollout=rollout(on=1))
    assert (await refusal(keeper.flags.TryFlag(missing))).reason == "FLAG_NOT_FOUND"
