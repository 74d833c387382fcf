"""JSON schemas, compiled: how data is checked, in a time that its size bounds, whoever wrote the schema."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from server.events.errors import SchemaInvalid
from server.frame.errors import printable

MAX_SUBSCHEMAS = 1_000
"""Of a schema, each counted as often as a reference leads to it: what one piece of data may be compared with."""
_MAX_REGEX_BYTES = 1024 * 1024
"""Of a pattern, compiled."""
_MAX_PROBLEM = 300
"""In characters."""
_DIALECTS = frozenset(
    {
        "",
        "http://json-schema.org/draft-07/schema",
        "https://json-schema.org/draft/2020-12/schema",
    }
)
_OUTSIDE = frozenset({"$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor", "$vocabulary"})
"""Keywords by which a schema refers to what is found out only as data is checked."""


class Schema:
    """A schema, compiled."""

    def __init__(self, text: str) -> None:
        """Raises SchemaInvalid.

        Patterns are of the kind that takes a time in proportion to the text: without look-around and back-references.
        References lead within the schema alone, and in no circle.
        """
        import jsonschema_rs  # 15 MB, which a process without schemas does not load

        self._differs = jsonschema_rs.ValidationError

        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise SchemaInvalid(problem=f"it is not JSON: {error}") from None
        check_bounded(document)
        try:
            self._validator = jsonschema_rs.validator_for(
                document,
                retriever=_nothing_outside,
                pattern_options=jsonschema_rs.RegexOptions(
                    size_limit=_MAX_REGEX_BYTES, dfa_size_limit=_MAX_REGEX_BYTES
                ),
            )
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            raise SchemaInvalid(problem=_first_line(error)) from None

    def problem(self, value: Any) -> str | None:
        """How a value differs from the schema; None where it matches."""
        try:
            self._validator.validate(value)  # which ends at the first error
        except self._differs as error:
            return _shown(error)
        return None


class UnusableSchema:
    """A schema that was declared, and that this server cannot use: no data matches it."""

    def __init__(self, refusal: SchemaInvalid) -> None:
        self._said = refusal.message()

    def problem(self, _: Any) -> str:
        return self._said


def declared_schema(text: str) -> Schema | UnusableSchema | None:
    """A schema as it was declared; None where it is empty.

    One that an earlier version took, and this one does not, concerns the events of its type alone.
    """
    try:
        return Schema(text) if text else None
    except SchemaInvalid as refusal:
        return UnusableSchema(refusal)


def check_bounded(document: Any) -> None:
    """Raises SchemaInvalid where a schema refers to others or in a circle, or grows too large by its references."""
    if not isinstance(document, dict | bool):
        raise SchemaInvalid(problem="it is neither an object nor true or false")
    _Counter(document).count(document, ())


class _Counter:
    """Counts subschemas, each as often as a reference leads to it."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._left = MAX_SUBSCHEMAS

    def count(self, schema: Any, through: tuple[str, ...]) -> None:
        """`through` are the references that led here."""
        if not isinstance(schema, Mapping):
            return
        self._left -= 1
        if self._left < 0:
            raise SchemaInvalid(problem=f"it has more than {MAX_SUBSCHEMAS:,} subschemas, references followed")
        self._refuse_keywords(schema, top=schema is self._document and not through)
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference in through:
                raise SchemaInvalid(problem=f"the reference {printable(reference)} leads in a circle")
            self.count(self._target(reference), (*through, reference))
        for each in _subschemas(schema):
            self.count(each, through)

    def _refuse_keywords(self, schema: Mapping[str, Any], *, top: bool) -> None:
        if found := _OUTSIDE.intersection(schema):
            raise SchemaInvalid(problem=f"it has {min(found)}, which is not supported")
        if top and str(schema.get("$schema", "")).removesuffix("#") not in _DIALECTS:
            raise SchemaInvalid(problem="its $schema must be of draft 7 or 2020-12")
        for name in () if top else ("$id", "$schema", "$anchor"):
            if name in schema:
                raise SchemaInvalid(problem=f"{name} may be at its top alone")

    def _target(self, reference: str) -> Any:
        if reference != "#" and not reference.startswith("#/"):
            raise SchemaInvalid(problem=f"the reference {printable(reference)} must lead within it, such as #/$defs/a")
        found: Any = self._document
        for step in reference.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            else:
                raise SchemaInvalid(problem=f"the reference {printable(reference)} leads nowhere")
        return found


_ONE = (
    *("additionalItems", "additionalProperties", "contains", "else", "if", "not", "propertyNames", "then"),
    *("unevaluatedItems", "unevaluatedProperties", "contentSchema", "items"),
)
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_MAPS = ("properties", "patternProperties", "dependentSchemas", "dependencies")


def _subschemas(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Those that are applied; definitions count where a reference leads to them."""
    for name in _ONE:
        yield schema.get(name)
    for name in _LISTS:
        each = schema.get(name)
        yield from each if isinstance(each, list) else ()
    for name in _MAPS:
        each = schema.get(name)
        yield from each.values() if isinstance(each, Mapping) else ()


def _nothing_outside(uri: str) -> Any:
    raise ValueError(f"{uri} is not within the schema")


def _shown(error: Any) -> str:
    """Where the data differs, and how."""
    place = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in error.instance_path)
    return _shortened(f"data{place}: {error.message}")


def _first_line(error: Exception) -> str:
    return _shortened(str(error).strip().splitlines()[0])


def _shortened(text: str) -> str:
    cleaned = "".join(each if each.isprintable() else " " for each in text)
    return cleaned if len(cleaned) <= _MAX_PROBLEM else f"{cleaned[: _MAX_PROBLEM - 1]}…"
