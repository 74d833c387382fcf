"""Schemas: what is one, and that none takes long, whoever wrote it."""

import time
from typing import Any

import orjson
import pytest

from server.events.errors import SchemaInvalid
from server.events.rules.schemas import MAX_SUBSCHEMAS, Schema, declared_schema


def schema(document: Any) -> Schema:
    return Schema(orjson.dumps(document).decode())


def doubling(levels: int) -> dict[str, Any]:
    """Each level refers to the next one twice."""
    each = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    return {"$defs": {**each, f"d{levels}": {"type": "object"}}, "$ref": "#/$defs/d0"}


REFUSED: list[tuple[str, Any, str]] = [
    ("a number", 5, "neither an object"),
    ("a type that there is not", {"type": "nothing"}, "nothing"),
    ("a bound that is a text", {"minimum": "x"}, "number"),
    ("a pattern that is none", {"pattern": "(a"}, "regex"),
    ("a pattern that looks around", {"pattern": "(?=a)b"}, "regex"),
    ("a pattern that refers back", {"pattern": r"(a)\1"}, "regex"),
    ("a pattern that grows", {"pattern": "(a{1000}){1000}"}, "regex"),
    ("a reference to another host", {"$ref": "https://example.com/a"}, "must lead within it"),
    ("a reference to a file", {"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "must lead within it"),
    ("a reference to nowhere", {"$ref": "#/$defs/a"}, "leads nowhere"),
    ("a reference to itself", {"properties": {"a": {"$ref": "#"}}}, "in a circle"),
    (
        "two that refer to one another",
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        "in a circle",
    ),
    ("a dynamic reference", {"$dynamicRef": "#a"}, "$dynamicRef"),
    ("an id within", {"properties": {"a": {"$id": "https://example.com/a"}}}, "$id"),
    ("another dialect", {"$schema": "https://example.com/schema"}, "$schema"),
    ("references that double", doubling(20), "subschemas"),
    ("many subschemas", {"anyOf": [{"const": n} for n in range(MAX_SUBSCHEMAS + 1)]}, "subschemas"),
]


@pytest.mark.parametrize(("document", "said"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_no_schema_or_too_costly_is_refused(document: Any, said: str) -> None:
    """With what is wrong."""
    with pytest.raises(SchemaInvalid) as raised:
        schema(document)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("document", "matches", "differs"),
    [
        (True, {}, None),
        ({"type": "integer"}, 5, 5.5),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]}, ["a"], [1]),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", "prefixItems": [{"type": "string"}]}, ["a"], [1]),
        ({"$defs": {"a/b": {"type": "null"}}, "$ref": "#/$defs/a~1b"}, None, 1),
        ({"pattern": "^[a-z]+$"}, "abc", "ABC"),
        (doubling(6), {}, []),
        ({"required": ["a"], "additionalProperties": False, "properties": {"a": {}}}, {"a": 1}, {"a": 1, "b": 2}),
    ],
)
def test_data_matches_its_schema_or_differs(document: Any, matches: Any, differs: Any) -> None:
    """In either dialect."""
    found = schema(document)
    assert found.problem(matches) is None
    assert differs is None or found.problem(differs)


def test_a_problem_names_the_place_in_one_short_line() -> None:
    """Whatever the data has."""
    found = schema({"properties": {"a": {"items": {"type": "integer"}}}}).problem({"a": [1, "x\n\0" * 1_000]})
    assert found is not None
    assert found.startswith("data.a[1]: ")
    assert len(found) <= 300
    assert found.isprintable()


def test_a_hostile_pattern_and_a_hostile_schema_take_no_long_time() -> None:
    """Of the process's own time: a pattern that doubles elsewhere, and as many subschemas as may be on much data."""
    began = time.process_time()
    assert schema({"pattern": "^(a+)+$"}).problem("a" * 60_000 + "b")
    last = MAX_SUBSCHEMAS - 3
    many = schema({"items": {"anyOf": [{"const": n} for n in range(last + 1)]}})
    assert many.problem([last] * 20_000) is None
    assert many.problem([last] * 20_000 + [-1])
    assert time.process_time() - began < 10


def test_what_is_not_json_is_no_schema() -> None:
    """NaN included."""
    for text in ("{", "", '{"minimum": NaN}'):
        with pytest.raises(SchemaInvalid, match="not JSON"):
            Schema(text)


def test_a_declared_schema_that_cannot_be_used_any_more_matches_nothing() -> None:
    """With the reason: it must not keep the events of other types from being stored."""
    assert declared_schema("") is None
    unusable = declared_schema('{"pattern": "(?=a)b"}')
    assert unusable is not None
    assert "cannot be used" in str(unusable.problem({}))
    usable = declared_schema('{"type": "object"}')
    assert usable is not None
    assert usable.problem({}) is None
