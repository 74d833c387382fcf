"""ImportFlags and ExportFlags: flagd's JSON, whole, there and back."""

from typing import Any

import pytest

from backroom.flags.v1 import flag_service_pb2 as pb
from tests.fixtures.servers import Api, Running, refusal
from tests.flags.calling import created, editing, exported, got, imported, importing, segment, versions

DOCUMENT: Any = {
    "flags": {
        "banner": {
            "state": "ENABLED",
            "variants": {"a": {"text": "Grüße", "size": 2}, "b": {"text": "x", "list": [1, 2.5, None, True]}},
            "defaultVariant": "a",
            "targeting": {"if": [{"$ref": "staff"}, "b", {"fractional": [["a", 10], ["b", 90]]}]},
            "metadata": {"team": "web", "level": 2},
        },
        "plain": {"state": "DISABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"},
        "ratio": {"state": "ENABLED", "variants": {"low": 0.5, "high": 2.0}},
    },
    "$evaluators": {"staff": {"ends_with": [{"var": "email"}, "@example.com"]}},
    "metadata": {"version": "7"},
}


@pytest.fixture
async def keeper(server: Running) -> Api:
    return await server.sign_in("manager")


def counts(answer: pb.ImportFlagsResponse) -> tuple[int, ...]:
    found = answer.summary
    return (
        found.created_count,
        found.updated_count,
        found.unchanged_count,
        found.archived_count,
        found.changed_segment_count,
    )


async def test_what_was_imported_is_exported_unchanged(keeper: Api) -> None:
    """In pieces of any size; a second import of it changes nothing."""
    assert counts(await imported(keeper, DOCUMENT, pieces=7)) == (3, 0, 0, 0, 1)
    assert await exported(keeper) == DOCUMENT
    assert counts(await imported(keeper, await exported(keeper))) == (0, 0, 3, 0, 0)
    assert len(await versions(keeper, "banner")) == 1
    assert counts(await imported(keeper, DOCUMENT, flag_set_id="other")) == (3, 0, 0, 0, 1)
    assert await exported(keeper, "other") == DOCUMENT


async def test_details_are_exported_where_asked(keeper: Api) -> None:
    """And read again; without them, a flag keeps those that it has."""
    await created(keeper, "base")
    await created(keeper, "f", owner="web", ticket="T-1", description="Why.")
    plain, detailed = await exported(keeper), await exported(keeper, with_details=True)
    assert "metadata" not in plain["flags"]["f"]
    assert counts(await imported(keeper, plain)) == (0, 0, 2, 0, 0)
    assert counts(await imported(keeper, detailed, flag_set_id="copy")) == (2, 0, 0, 0, 0)
    copy = await got(keeper, "f", "copy")
    assert (copy.owner, copy.ticket, copy.description) == ("web", "T-1", "Why.")


async def test_an_import_merges_or_replaces(keeper: Api) -> None:
    """What it does not name stays, or is archived; an archived flag that it names is back."""
    await created(keeper, "mine")
    await segment(keeper, "old", {"var": "old"})
    assert counts(await imported(keeper, DOCUMENT)) == (3, 0, 0, 0, 1)
    assert not (await got(keeper, "mine")).archived
    replaced = await imported(keeper, DOCUMENT, mode=pb.IMPORT_MODE_REPLACE, comment="all of it")
    assert counts(replaced) == (0, 0, 3, 1, 1)
    assert (await got(keeper, "mine")).archived
    assert (await versions(keeper, "mine"))[0].comment == "all of it"
    back = {"flags": {"mine": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}}}
    assert counts(await imported(keeper, back)) == (0, 1, 0, 0, 0)
    assert ((await got(keeper, "mine")).archived, (await got(keeper, "mine")).default_variant) == (False, "on")


async def test_an_import_that_is_only_looked_at_changes_nothing(keeper: Api) -> None:
    """It says what it would do."""
    assert counts(await imported(keeper, DOCUMENT, validate_only=True)) == (3, 0, 0, 0, 1)
    assert not (await keeper.flags.ListFlags(pb.ListFlagsRequest())).flags


async def test_a_bad_import_changes_nothing(keeper: Api) -> None:
    """What is wrong is named by its path in the JSON, whether it is none, or no client could evaluate a flag."""
    await created(keeper, "mine")
    flag = {"state": "ENABLED", "variants": {"on": True}, "targeting": {"if": [True, "none"]}}
    bad = {
        "flag_configuration": "{",
        "flags": {"flags": []},
        "flags.f.state": {"flags": {"f": {"variants": {"on": True}}}},
        "flags.f.targeting.if[1]": {"flags": {"ok": DOCUMENT["flags"]["plain"], "f": flag}},
        "metadata.x": {"flags": {}, "metadata": {"x": []}},
    }
    for path, document in bad.items():
        refused = await refusal(keeper.flags.ImportFlags(iter(importing(document))))
        assert (refused.reason, list(refused.fields)) == ("FLAG_INVALID", [path])
    found = await keeper.flags.ListFlags(pb.ListFlagsRequest())
    assert [each.key for each in found.flags] == ["mine"]


async def test_a_repeated_import_is_answered_as_it_was(keeper: Api) -> None:
    """Though the flags have changed since."""
    messages = importing(DOCUMENT, pieces=3)
    first = await keeper.flags.ImportFlags(iter(messages))
    await keeper.flags.UpdateFlag(editing("plain", "owner", owner="web"))
    assert await keeper.flags.ImportFlags(iter(messages)) == first
    assert (await got(keeper, "plain")).version == 2
    other = importing({"flags": {}})
    other[0].request_id = messages[0].request_id
    assert (await refusal(keeper.flags.ImportFlags(iter(other)))).reason == "REQUEST_ID_REUSED"


async def test_a_large_flag_set_comes_in_several_pieces(keeper: Api) -> None:
    """Of which no message is too large for a client."""
    text = {"x": "ü" * 20_000}
    flags = {f"f-{number:03}": {"state": "ENABLED", "variants": {"a": text}} for number in range(30)}
    await imported(keeper, {"flags": flags}, pieces=10)
    pieces = [each.flag_configuration async for each in keeper.flags.ExportFlags(pb.ExportFlagsRequest())]
    assert len(pieces) > 5
    assert max(len(each.encode()) for each in pieces) <= 256 * 1024
    assert (await exported(keeper))["flags"] == flags


async def test_a_flag_set_that_is_not_there_is_not_exported(keeper: Api) -> None:
    """Rather than an empty one."""
    call = keeper.flags.ExportFlags(pb.ExportFlagsRequest(flag_set_id="none"))
    assert (await refusal(anext(aiter(call)))).reason == "FLAG_SET_NOT_FOUND"
