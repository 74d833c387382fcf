"""Refusals, compared with the contract and sent over the wire."""

import ast
import base64
import importlib
import pkgutil
import re
from collections.abc import Container, Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from google.protobuf.descriptor import EnumDescriptor
from google.rpc import code_pb2, error_details_pb2

import server
from server.frame.errors import (
    MAX_NAMED,
    Code,
    Contention,
    DatabaseUnavailable,
    DeadlineExceeded,
    EtagMismatch,
    FieldInvalid,
    FieldViolation,
    PreconditionViolation,
    RateLimited,
    Refusal,
    Stopping,
    printable,
)
from server.frame.statuses import refusal_of, status_of
from storage.errors import StoreContention, StoreError, StoreTimeout, StoreUnavailable
from tests.fixtures.servers import refused_by
from tests.frame.contracts import PROTO, contract_files

_SAID = re.compile(r"((?: *//.*\n)+) *REASON_(\w+) = (\d+);")


def refusals() -> dict[tuple[str, str], type[Refusal]]:
    """Every refusal of the server, by its module's package in the contract and its reason."""
    for module in pkgutil.walk_packages(server.__path__, "server."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    ours = [kind for kind in _below(Refusal) if kind.__module__.startswith("server.")]
    found = {(_package(kind), kind.reason): kind for kind in ours}
    assert len(found) == len(ours), "two refusals of one module share a reason"
    return found


def _below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def _package(kind: type[Refusal]) -> str:
    module = kind.__module__.split(".")[1]
    return f"backroom.{'common' if module == 'frame' else module}.v1"


def reasons() -> dict[tuple[str, str], str]:
    """Every reason of the contract, by its package and its name, with the code that its comment starts with."""
    found = {}
    for package in {enum.full_name.rpartition(".")[0] for enum in _enums()}:
        said = (PROTO / package.replace(".", "/") / "errors.proto").read_text()
        for comment, name, _ in _SAID.findall(said):
            found[package, name] = comment.strip().removeprefix("// ").partition(":")[0]
    return found


def _enums() -> list[EnumDescriptor]:
    return [file.enum_types_by_name["Reason"] for file in contract_files() if file.name.endswith("/errors.proto")]


def test_each_refusal_is_in_the_contract_and_each_reason_is_a_refusal() -> None:
    """Module by module, the server's refusals are exactly the reasons that the contract lists."""
    declared = {
        (enum.full_name.rpartition(".")[0], value.name.removeprefix("REASON_"))
        for enum in _enums()
        for value in enum.values
        if value.number
    }
    assert set(refusals()) == declared
    assert len(declared) > 30


def test_a_refusals_reason_is_its_name() -> None:
    """The same word finds both."""
    assert EtagMismatch.reason == "ETAG_MISMATCH"
    names = {kind.__name__: reason for (_, reason), kind in refusals().items()}
    assert {name: reason.replace("_", "") for name, reason in names.items()} == {name: name.upper() for name in names}


def test_each_refusal_has_the_code_that_the_contract_says() -> None:
    """The comment of a reason starts with its code."""
    # Only a command on the database still refuses with this one.
    codes = {name: code for name, code in reasons().items() if name[1] != "UNSPECIFIED" and code != "Not sent any more"}
    assert {name: kind.code.value for name, kind in refusals().items() if name[1] != "EMAIL_TAKEN"} == codes


def test_nothing_is_sent_as_unspecified() -> None:
    """The value 0 of each enum means that no reason was given, which never happens."""
    assert {enum.values_by_number[0].name for enum in _enums()} == {"REASON_UNSPECIFIED"}


def named(kind: type[Refusal]) -> set[str]:
    """The {names} in a refusal's message."""
    line = (kind.__doc__ or "").strip().splitlines()[0]
    return {name for _, name, _, _ in Formatter().parse(line) if name}


def raised(kind: type[Refusal], **rest: str) -> Refusal:
    """A refusal with a value for each of its names."""
    metadata: dict[str, Any] = {**{name: f"<{name}>" for name in named(kind) - {"seconds"}}, **rest}
    return kind(**metadata)


@pytest.mark.parametrize("kind", refusals().values(), ids=lambda kind: kind.__name__)
def test_a_refusals_message_is_one_sentence(kind: type[Refusal]) -> None:
    """It is one line, ends like a sentence, and holds only the values that it names."""
    message = raised(kind, secret="s3cret").message()
    assert message == str(raised(kind))
    assert message[0].isupper()
    assert message.endswith((".", '"', ">")), message
    assert "\n" not in message
    assert "s3cret" not in message
    assert all(f"<{name}>" in message for name in named(kind) - {"seconds"})


def test_each_refusal_is_raised_with_everything_its_message_names() -> None:
    """A missing value would be INTERNAL, so each place in the source that creates a refusal is read."""
    kinds = {kind.__name__: kind for kind in refusals().values()}
    made = [(file, call) for file in SOURCES for call in makings(ast.parse(file.read_text()), kinds)]
    migration_problem = [
        (str(file), name, missing)
        for file, (name, given) in made
        if (missing := named(kinds[name]) - given - {"seconds"}) and not given & OTHERWISE.get(name, set())
    ]
    assert migration_problem == []
    assert len(made) > 60


OTHERWISE = {
    "FieldInvalid": {"fields"},
    "ProductNotFound": {"product_id"},
}
"""Values that replace what a refusal's message names, and change its text."""
SOURCES = sorted(Path(server.__path__[0]).rglob("*.py"))


def makings(tree: ast.AST, kinds: Container[str]) -> Iterator[tuple[str, set[str]]]:
    """Each place that creates a refusal: its name, and its keyword arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := _name(node.func)) in kinds:
            yield name, {keyword.arg for keyword in node.keywords if keyword.arg}
        elif isinstance(node, ast.Raise) and node.exc and (name := _name(node.exc)) in kinds:
            yield name, set()


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def test_a_message_names_the_field_that_is_wrong() -> None:
    """The path of the first violation, and how many more there are, even if the details do not list all of them."""
    assert FieldInvalid.of("order_id", "must be a valid UUID").message() == "order_id: must be a valid UUID"
    many = FieldInvalid(fields=[FieldViolation(f"lines[{n}].sku", "must not be empty") for n in range(2000)])
    assert many.message() == "lines[0].sku: must not be empty (and 1,999 more)"
    assert len(many.fields) == MAX_NAMED
    whole = FieldInvalid.of("", "exactly one field is required in oneof")
    assert whole.message() == "exactly one field is required in oneof"


def test_a_message_names_what_prevents_the_call() -> None:
    """By its subject, whatever characters that has."""
    violations = [PreconditionViolation("STOCK", sku, "6 wanted, fewer available") for sku in ("85123A", "B")]
    assert EtagMismatch(preconditions=violations).message() == "85123A: 6 wanted, fewer available (and 1 more)"
    odd = PreconditionViolation("STOCK", "a\nb\N{RIGHT-TO-LEFT OVERRIDE}", "1 wanted, 0 available")
    assert EtagMismatch(preconditions=[odd]).message() == "a\\nb\\u202e: 1 wanted, 0 available"


def test_details_fit_into_the_metadata_of_a_response() -> None:
    """However long they are; the first is always included."""
    odd = "\N{PILE OF POO}" * 64
    subjects = [PreconditionViolation("SOLD", odd, f"{number:,} to put back, 0 sold") for number in range(2000)]
    fields = [FieldViolation(f"lines[{number}].{'a' * 300}", "is wrong " * 30) for number in range(2000)]
    for refusal in (EtagMismatch(preconditions=subjects), FieldInvalid(fields=fields)):
        status = status_of(refusal)
        assert len(base64.b64encode(status.SerializeToString())) < 7000
        read = refused_by(status)
        assert read.fields or read.preconditions


def test_a_message_of_a_stream_is_named_by_its_number() -> None:
    """A caller that sent thousands sees which one is meant; a program reads it in the metadata."""
    refusal = FieldInvalid.of("product.sku", "is required").at_message(17)
    assert refusal.message() == "message 17 of the stream: product.sku: is required"
    assert refused_by(status_of(refusal)).metadata == {"message_number": "17"}


@pytest.mark.parametrize(
    ("value", "said"),
    [("a" * 5000, "a" * 99 + "\N{HORIZONTAL ELLIPSIS}"), ("a\r\n\x1b[31m", "a\\r\\n\\x1b[31m"), ("{sku}%s", "{sku}%s")],
)
def test_a_value_is_shown_in_one_short_line(value: str, said: str) -> None:
    """It fits on one line of a terminal or a log, and braces in it are not interpreted."""
    assert EtagMismatch(etag=value).message().count(said) == 1
    assert printable(value) == said


def test_a_wait_is_stated_in_whole_seconds() -> None:
    """Rounded up, so that a caller that waits that long may call."""
    assert RateLimited(retry_after=2.1).message().endswith("try again in 3 s.")


@pytest.mark.parametrize("kind", refusals().values(), ids=lambda kind: kind.__name__)
def test_every_refusal_becomes_a_status_that_a_machine_can_read(kind: type[Refusal]) -> None:
    """Its code, and exactly one ErrorInfo of our domain with its reason and its metadata."""
    refusal = raised(kind, subject="7")
    status = status_of(refusal)
    assert status.code == code_pb2.Code.Value(kind.code.value)
    assert status.message == refusal.message()
    read = refused_by(status)
    assert (read.reason, read.metadata) == (kind.reason, refusal.metadata)
    assert read.retry_after == kind.retry_after


@pytest.mark.parametrize("code", Code)
def test_each_code_is_a_canonical_one(code: Code) -> None:
    """As google.rpc.Code names it."""
    assert code_pb2.Code.Value(code.value) > 0


def test_violations_are_listed_field_by_field() -> None:
    """In order, with the path, the text, and the rule if known."""
    status = status_of(
        FieldInvalid(fields=[FieldViolation("lines[1].sku", "is too long", "string.max_len"), FieldViolation("b", "c")])
    )
    bad = error_details_pb2.BadRequest()
    assert [detail.Unpack(bad) for detail in status.details] == [False, True]
    found = [(each.field, each.description, each.reason) for each in bad.field_violations]
    assert found == [("lines[1].sku", "is too long", "string.max_len"), ("b", "c", "")]
    one = status_of(FieldInvalid.of("create_time", "must be a time"))
    assert refused_by(one).fields == {"create_time": "must be a time"}


def test_failed_preconditions_are_listed_one_by_one() -> None:
    """With the type, the subject and the text."""
    status = status_of(EtagMismatch(preconditions=[PreconditionViolation("STOCK", "TEA", "2 are available")]))
    failure = error_details_pb2.PreconditionFailure()
    assert [detail.Unpack(failure) for detail in status.details] == [False, True]
    found = [(each.type, each.subject, each.description) for each in failure.violations]
    assert found == [("STOCK", "TEA", "2 are available")]


def test_a_plain_refusal_has_no_details_but_its_reason() -> None:
    """No empty list of fields or preconditions, and no time to retry if a retry is pointless."""
    assert len(status_of(EtagMismatch(etag="v2")).details) == 1


@pytest.mark.parametrize("refusal", [DatabaseUnavailable(), Contention(), Stopping()])
def test_a_temporary_refusal_says_when_to_retry(refusal: Refusal) -> None:
    """To the millisecond, as RetryInfo."""
    status = status_of(refusal)
    retry = error_details_pb2.RetryInfo()
    assert [detail.Unpack(retry) for detail in status.details] == [False, True]
    assert retry.retry_delay.ToMilliseconds() == round((refusal.retry_after or 0) * 1000)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StoreContention(), Contention),
        (StoreTimeout(), DeadlineExceeded),
        (StoreUnavailable(), DatabaseUnavailable),
    ],
)
def test_the_stores_problems_become_refusals(error: StoreError, kind: type[Refusal]) -> None:
    """Conflicts, slow statements, and a database that does not respond."""
    assert type(refusal_of(error)) is kind


def test_a_refusal_of_one_field_names_it() -> None:
    """The shorthand equals the long form."""
    refusal = FieldInvalid.of("sku", "is empty")
    assert refusal.fields == (FieldViolation("sku", "is empty"),)
    assert (refusal.preconditions, refusal.metadata) == ((), {})
