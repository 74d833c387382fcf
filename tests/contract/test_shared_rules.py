"""Rules that the contract repeats at several fields, since protovalidate cannot share a rule between messages."""

from collections import defaultdict
from collections.abc import Iterator

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor

from tests.frame.contracts import contract_files


def described() -> Iterator[tuple[str, str, str]]:
    """The id, message and expression of each CEL rule at a field of the contract."""
    for file in contract_files():
        for message in file.message_types_by_name.values():
            yield from rules_in(message)


def rules_in(message: Descriptor) -> Iterator[tuple[str, str, str]]:
    for field in message.fields:
        for rule in field.GetOptions().Extensions[validate_pb2.field].cel:
            yield rule.id, rule.message, rule.expression
    for nested in message.nested_types:
        yield from rules_in(nested)


def test_rules_of_one_id_are_the_same() -> None:
    """A price means the same wherever one is sent."""
    found = defaultdict(list)
    for rule_id, *rule in described():
        found[rule_id].append(rule)
    assert len(found["money.price"]) > 1
    assert [rule_id for rule_id, rules in found.items() if any(rule != rules[0] for rule in rules)] == []
