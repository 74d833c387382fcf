"""JSON on the wire, as google.protobuf.Value has it, to plain values and back."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import ListValue, NullValue, Struct, Value

from server.flags.rules.validating import EXACT


def plain(value: Value) -> Any:
    """On the wire each number is a double: one that is whole, and exact, is a whole number."""
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) <= EXACT else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return plain_object(value.struct_value)
        case "list_value":
            return [plain(each) for each in value.list_value.values]
        case _:
            return None


def plain_object(struct: Struct) -> dict[str, Any]:
    return {name: plain(each) for name, each in struct.fields.items()}


def wire(value: Any) -> Value:
    match value:
        case None:
            return Value(null_value=NullValue.NULL_VALUE)
        case bool():
            return Value(bool_value=value)
        case int() | float():
            return Value(number_value=value)
        case str():
            return Value(string_value=value)
        case Mapping():
            return Value(struct_value=wire_object(value))
        case _:
            return Value(list_value=ListValue(values=[wire(each) for each in value]))


def wire_object(value: Mapping[str, Any]) -> Struct:
    return Struct(fields={name: wire(each) for name, each in value.items()})
