"""What flagd's clients are answered over the wire, of every type and for every reason."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from flagd.evaluation.v1 import evaluation_service_pb2 as v1
from flagd.evaluation.v2 import evaluation_service_pb2 as v2
from server.flags.servicer.evaluation import context_of
from storage.database import Database
from storage.flags.records import FlagState, UsagePeriod
from storage.flags.store import FLAGS
from tests.fixtures.servers import Running, refusal
from tests.flags.keeping import add, changing
from tests.flags.values import NOW, flag, flag_set, segment
from tests.flags.wire import Flagd, serving_flags, struct, told

OBJECT = {"color": "red", "sizes": [1, 2], "deep": {"on": True, "none": None}}
STAFF = {"if": [{"==": [{"var": "team"}, "staff"]}, "on"]}
HALVES = {"fractional": [["on", 50], ["off", 50]]}
ALL = (
    flag("static", default="on"),
    flag("targeted", targeting=STAFF),
    flag("halves", targeting=HALVES),
    flag("text", {"a": "A", "b": ""}, "a"),
    flag("whole", {"few": 3, "many": 2**40}, "many"),
    flag("broken", {"half": 0.5, "one": 1}, "half"),
    flag("object", {"one": OBJECT, "empty": {}}, "one"),
    flag("disabled", default="on", state=FlagState.DISABLED),
    flag("no-default", default="", targeting=STAFF),
    flag("faulty", targeting={"if": [{"var": "wanted"}, {"var": "wanted"}]}),
    flag("secretive", default="on", description="why it is", owner="ada", ticket="SHOP-1", metadata={"team": "flag"}),
)


@pytest.fixture
async def server(database: Database) -> AsyncIterator[Running]:
    await add(database, *ALL, flag("static", flag_set_id="shop"))
    async with changing(database) as (tx, version):
        await tx.configuration.put_set(flag_set("", team="set", region="eu"), version)
    async with serving_flags(database) as opened:
        yield opened


@pytest.fixture
def flagd(server: Running) -> Flagd:
    return Flagd(server.channel)


def answer(response: Any) -> tuple[Any, str, str | None]:
    """The value, the reason and the variant; None for what is absent."""
    value = response.value if response.HasField("value") else None
    if isinstance(response, v2.ResolveObjectResponse) and value is not None:
        value = MessageToDict(value)
    return value, response.reason, response.variant if response.HasField("variant") else None


def asking(kind: type, key: str, **context: Any) -> Any:
    return kind(flag_key=key, context=struct(context))


async def test_each_type_is_answered_with_its_value_and_variant(flagd: Flagd) -> None:
    """By the methods that clients call for them."""
    found = [
        await flagd.v2.ResolveBoolean(asking(v2.ResolveBooleanRequest, "static")),
        await flagd.v2.ResolveString(asking(v2.ResolveStringRequest, "text")),
        await flagd.v2.ResolveInt(asking(v2.ResolveIntRequest, "whole")),
        await flagd.v2.ResolveFloat(asking(v2.ResolveFloatRequest, "broken")),
        await flagd.v2.ResolveObject(asking(v2.ResolveObjectRequest, "object")),
    ]

    assert [answer(each) for each in found] == [
        (True, "STATIC", "on"),
        ("A", "STATIC", "a"),
        (2**40, "STATIC", "many"),
        (0.5, "STATIC", "half"),
        (OBJECT, "STATIC", "one"),
    ]


async def test_a_number_is_given_as_the_number_that_is_asked_for(flagd: Flagd) -> None:
    """JavaScript always requests a float; a request for an integer gets one."""
    as_float = await flagd.v2.ResolveFloat(asking(v2.ResolveFloatRequest, "whole"))
    as_int = await flagd.v2.ResolveInt(asking(v2.ResolveIntRequest, "broken"))

    assert answer(as_float) == (float(2**40), "STATIC", "many")
    assert answer(as_int) == (0, "STATIC", "half")


async def test_targeting_and_fractional_match_and_else_the_default_is_served(flagd: Flagd) -> None:
    """TARGETING_MATCH where the rule gave a variant, and DEFAULT where it gave none."""
    assert answer(await flagd.boolean("targeted", team="staff")) == (True, "TARGETING_MATCH", "on")
    assert answer(await flagd.boolean("targeted", team="none")) == (False, "DEFAULT", "off")
    shares = [answer(await flagd.boolean("halves", targetingKey=f"u{number}")) for number in range(40)]
    assert {reason for _, reason, _ in shares} == {"TARGETING_MATCH"}
    assert 8 < sum(value for value, _, _ in shares) < 32
    assert shares == [answer(await flagd.boolean("halves", targetingKey=f"u{number}")) for number in range(40)]


async def test_what_is_not_served_leaves_value_and_variant_out(flagd: Flagd) -> None:
    """The client takes the default in its own code."""
    assert answer(await flagd.boolean("disabled")) == (None, "DISABLED", None)
    assert answer(await flagd.boolean("no-default")) == (None, "DEFAULT", None)
    assert answer(await flagd.boolean("no-default", team="staff")) == (True, "TARGETING_MATCH", "on")


async def test_version_1_says_not_found_of_what_is_not_served(flagd: Flagd) -> None:
    """It has no other code for it; everything else is answered as by version 2."""
    for key in ("disabled", "no-default"):
        found = await refusal(flagd.v1.ResolveBoolean(asking(v1.ResolveBooleanRequest, key)))
        assert (found.code, found.reason) == (grpc.StatusCode.NOT_FOUND, "FLAG_NOT_FOUND")

    served = await flagd.v1.ResolveBoolean(asking(v1.ResolveBooleanRequest, "targeted", team="staff"))
    assert (served.value, served.reason, served.variant) == (True, "TARGETING_MATCH", "on")
    assert (await flagd.v1.ResolveString(asking(v1.ResolveStringRequest, "text"))).value == "A"
    assert (await flagd.v1.ResolveInt(asking(v1.ResolveIntRequest, "whole"))).value == 2**40
    assert (await flagd.v1.ResolveFloat(asking(v1.ResolveFloatRequest, "broken"))).value == 0.5
    assert MessageToDict((await flagd.v1.ResolveObject(asking(v1.ResolveObjectRequest, "object"))).value) == OBJECT


def test_a_context_is_read_as_protobuf_reads_it() -> None:
    """Of every kind that JSON has, at any depth; a number is a float."""
    sent = {"text": "a", "empty": "", "one": 1, "half": 0.5, "yes": True, "no": False, "none": None}
    deep = struct({**sent, "deep": {**sent, "list": [1, "a", None, [sent], sent]}})

    assert context_of(deep) == MessageToDict(deep)
    assert type(context_of(deep)["one"]) is float


async def test_all_flags_of_a_set_are_evaluated_in_one_call(flagd: Flagd) -> None:
    """Without those that fail, or serve no variant."""
    found = await flagd.v1.ResolveAll(v1.ResolveAllRequest(context=struct({"team": "staff", "wanted": "nothing"})))

    assert set(found.flags) == {each.key for each in ALL} - {"disabled", "faulty"}
    assert (found.flags["targeted"].bool_value, found.flags["targeted"].reason) == (True, "TARGETING_MATCH")
    assert found.flags["text"].string_value == "A"
    assert (found.flags["whole"].double_value, found.flags["broken"].double_value) == (2**40, 0.5)
    assert MessageToDict(found.flags["object"].object_value) == OBJECT
    assert MessageToDict(found.metadata) == {"team": "set", "region": "eu"}


@pytest.mark.parametrize(
    ("kind", "key", "context", "code", "reason"),
    [
        (v2.ResolveBooleanRequest, "unknown", {}, grpc.StatusCode.NOT_FOUND, "FLAG_NOT_FOUND"),
        (v2.ResolveBooleanRequest, "text", {}, grpc.StatusCode.INVALID_ARGUMENT, "TYPE_MISMATCH"),
        (v2.ResolveStringRequest, "static", {}, grpc.StatusCode.INVALID_ARGUMENT, "TYPE_MISMATCH"),
        (v2.ResolveIntRequest, "static", {}, grpc.StatusCode.INVALID_ARGUMENT, "TYPE_MISMATCH"),
        (v2.ResolveFloatRequest, "text", {}, grpc.StatusCode.INVALID_ARGUMENT, "TYPE_MISMATCH"),
        (v2.ResolveObjectRequest, "static", {}, grpc.StatusCode.INVALID_ARGUMENT, "TYPE_MISMATCH"),
        (v2.ResolveBooleanRequest, "faulty", {"wanted": "x"}, grpc.StatusCode.INTERNAL, "TARGETING_FAILED"),
    ],
)
async def test_a_refusal_has_the_code_that_clients_go_by(
    flagd: Flagd, kind: Any, key: str, context: dict[str, Any], code: grpc.StatusCode, reason: str
) -> None:
    """NOT_FOUND, INVALID_ARGUMENT, and INTERNAL for all else: UNKNOWN and UNAVAILABLE are tried again for seconds."""
    method = kind.__name__.removesuffix("Request")
    found = await refusal(getattr(flagd.v2, method)(asking(kind, key, **context)))

    assert (found.code, found.reason) == (code, reason)


async def test_the_selector_chooses_the_flag_set(server: Running) -> None:
    """A set that does not exist has no flags, and a selector of another form is refused."""
    assert answer(await Flagd(server.channel, selector="flagSetId=shop").boolean("static"))[0] is False
    assert answer(await Flagd(server.channel, selector="flagSetId=").boolean("static"))[0] is True
    assert answer(await Flagd(server.channel, selector="").boolean("static"))[0] is True
    unknown = await refusal(Flagd(server.channel, selector="flagSetId=none").boolean("static"))
    malformed = await refusal(Flagd(server.channel, selector="shop").boolean("static"))

    assert unknown.reason == "FLAG_NOT_FOUND"
    assert (malformed.code, malformed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SELECTOR_INVALID")


async def test_the_metadata_is_the_sets_with_the_flags_and_nothing_else(flagd: Flagd) -> None:
    """Neither owner, nor ticket, nor description: evaluation may be open to everybody."""
    one = await flagd.boolean("secretive")
    every = await flagd.v1.ResolveAll(v1.ResolveAllRequest())

    assert MessageToDict(one.metadata) == {"team": "flag", "region": "eu"}
    assert MessageToDict((await flagd.boolean("static")).metadata) == {"team": "set", "region": "eu"}
    for secret in (b"ada", b"SHOP-1", b"why it is"):
        assert secret not in one.SerializeToString() + every.SerializeToString()


async def test_a_context_with_a_number_that_is_none_is_refused(flagd: Flagd) -> None:
    """Rules would compare it with anything."""
    found = await refusal(flagd.boolean("targeted", team=float("nan")))

    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_a_change_is_served_from_when_it_is_told_on(database: Database, flagd: Flagd) -> None:
    """What was made ready for one version of a flag is not served of another one."""
    assert answer(await flagd.boolean("static"))[0] is True
    events = flagd.events()
    assert told(await events.read()) == ("provider_ready", {})
    async with changing(database) as (tx, version):
        await tx.segments.add([segment("unused", True)], version)
        await tx.flags.change([replace(ALL[0], default_variant="off", version=2)], version)
    assert told(await events.read()) == ("configuration_change", {"static": "update"})
    events.cancel()

    assert answer(await flagd.boolean("static")) == (False, "STATIC", "off")


async def test_what_is_served_is_counted_by_variant_and_minute(server: Running, database: Database) -> None:
    """Of one call as of all flags at once; a server that stops stores what it has counted."""
    flagd = Flagd(server.channel)
    for _ in range(3):
        await flagd.boolean("static")
    await flagd.boolean("targeted", team="staff")
    await flagd.boolean("targeted")
    await flagd.boolean("disabled")
    await refusal(flagd.boolean("unknown"))
    await flagd.v1.ResolveAll(v1.ResolveAllRequest())
    await server.application.finish()

    async def counted(period: UsagePeriod, key: str) -> dict[str, int]:
        async with database.store(FLAGS).reading() as reading:
            found = await reading.usage.of_flag(period, "", key, NOW.replace(year=2000), NOW.replace(year=2200))
        served: dict[str, int] = {}
        for each in found:  # a minute may have ended in between
            served[each.variant] = served.get(each.variant, 0) + each.count
        return served

    for period in UsagePeriod:
        assert await counted(period, "static") == {"on": 4}
        assert await counted(period, "targeted") == {"on": 1, "off": 2}
        assert await counted(period, "disabled") == {"": 2}
        assert not await counted(period, "unknown")
