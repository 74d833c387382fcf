"""Kept answers, each with its kind and its version."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.frame.answers import DONE, AnswerKind
from server.frame.errors import AnswerFromNewerVersion
from storage.identity.records import Account, AccountKind
from tests.fixtures.examples import examples

texts = st.text(st.characters(codec="utf-8"), max_size=6)


@dataclass(frozen=True, slots=True)
class Receipt:
    """An answer with values of several types."""

    id: UUID
    lines: tuple[str, ...]
    time: datetime


RECEIPT = AnswerKind("test.receipt", Receipt)
WORDS = AnswerKind("test.words", tuple[str, ...])


@examples(100)
@given(st.uuids(), st.lists(texts, max_size=3).map(tuple), st.datetimes(timezones=st.just(UTC)))
def test_an_answer_is_read_back_as_it_was_written(id_: UUID, lines: tuple[str, ...], time: datetime) -> None:
    """Ids, texts, and times to the microsecond."""
    receipt = Receipt(id_, lines, time)
    assert RECEIPT.decoded(RECEIPT.encoded(receipt)) == receipt
    assert WORDS.decoded(WORDS.encoded(lines)) == lines
    account = Account(id_, AccountKind.SERVICE, None, "till", lines, time)
    kind = AnswerKind("test.account", Account)
    assert kind.decoded(kind.encoded(account)) == account


@dataclass(frozen=True, slots=True)
class Sum:
    """An answer whose third version has a field that the earlier ones lack."""

    amount: int
    currency: str


SUM = AnswerKind(
    "test.sum",
    Sum,
    version=3,
    upgrades={1: lambda pence: {"pence": pence}, 2: lambda old: {"amount": old["pence"], "currency": "GBP"}},
)


def test_a_stored_answer_names_its_kind_and_version() -> None:
    """In front of its JSON."""
    assert SUM.encoded(Sum(7, "EUR")) == 'test.sum/3 {"amount":7,"currency":"EUR"}'
    assert DONE.encoded(None) == "frame.done/1 null"


def test_an_answer_of_an_older_version_is_upgraded_step_by_step() -> None:
    """An answer from before there were kinds is the JSON of version 1, unless declared otherwise."""
    for kept in ('test.sum/3 {"amount":7,"currency":"GBP"}', 'test.sum/2 {"pence": 7}', "test.sum/1 7", "7"):
        assert SUM.decoded(kept) == Sum(7, "GBP")
    assert (DONE.decoded("true"), DONE.decoded("null")) == (None, None)


def test_an_unknown_field_is_ignored() -> None:
    """A newer server may have stored it, if it has a default there."""
    assert SUM.decoded('test.sum/3 {"amount":7,"currency":"GBP","tax":1}') == Sum(7, "GBP")


@pytest.mark.parametrize("kept", ["test.sum/4 {}", "test.sum/30 {}", 'test.total/1 {"amount":7,"currency":"GBP"}'])
def test_an_answer_of_a_newer_version_is_refused(kept: str) -> None:
    """So is one of an unknown kind, which only a newer server can have stored."""
    with pytest.raises(AnswerFromNewerVersion):
        SUM.decoded(kept)


def test_a_kind_that_could_not_be_read_later_is_a_defect() -> None:
    """A version without an upgrade, or an invalid name, fails when its module is imported."""
    with pytest.raises(ValueError, match=r"test\.sum has no upgrade from version 2"):
        AnswerKind("test.sum", Sum, version=3, upgrades={1: dict})
    for name in ("sum", "Test.sum", "test.sum2", "test.a sum", ""):
        with pytest.raises(ValueError, match=r"a kind is named like commerce\.placed_order"):
            AnswerKind(name, Sum)
