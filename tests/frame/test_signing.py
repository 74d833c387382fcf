"""How audit entries and their chain are signed."""

import sys
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.frame.records import AuditEntry, AuditEvent, AuditSeal
from storage.frame.signing import START, hash_of, mac_of
from tests.fixtures.examples import examples

SECRET = b"a secret of the tests"
TIME = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
ENTRY = AuditEntry(TIME, UUID(int=1), "action", "thing/1", "10.0.0.7", "call-1", "OK", UUID(int=9))
EVENT = AuditEvent(7, 700, ENTRY, "key", mac_of(ENTRY, SECRET))
SEAL = AuditSeal(1, 7, b"", "key", TIME)

texts = st.text(st.characters(codec="utf-8"), max_size=4)
entries = st.builds(
    AuditEntry,
    create_time=st.datetimes(timezones=st.just(UTC)),
    caller_id=st.uuids(),
    **dict.fromkeys(("action", "resource", "address", "call_id", "result"), texts),
    id=st.uuids(),
)


@examples(150)
@given(entries, entries)
def test_two_entries_have_the_same_signature_only_if_they_are_equal(one: AuditEntry, other: AuditEntry) -> None:
    """Wherever one field ends and the next begins."""
    assert (mac_of(one, SECRET) == mac_of(other, SECRET)) == (one == other)
    assert mac_of(one, SECRET) != mac_of(one, b"another")


@examples(100)
@given(texts, texts)
def test_moving_text_between_fields_changes_the_signature(one: str, two: str) -> None:
    """It would not if the fields were merely concatenated."""
    moved = replace(ENTRY, action=one + two, resource="")
    assert (mac_of(replace(ENTRY, action=one, resource=two), SECRET) == mac_of(moved, SECRET)) == (not two)


@pytest.mark.parametrize("hours", [-11, -1, 0, 2, 14])
def test_the_same_moment_has_the_same_signature_in_every_time_zone(hours: int) -> None:
    """A database returns times in its own zone, and without microseconds if they are zero."""
    elsewhere = replace(ENTRY, create_time=TIME.astimezone(timezone(timedelta(hours=hours))))
    assert mac_of(elsewhere, SECRET) == mac_of(ENTRY, SECRET)
    later = replace(ENTRY, create_time=TIME + timedelta(microseconds=1))
    assert mac_of(later, SECRET) != mac_of(ENTRY, SECRET)


CHANGES: list[tuple[AuditSeal, AuditEvent]] = [
    (replace(SEAL, position=2), EVENT),
    (replace(SEAL, sequence=8), EVENT),
    (replace(SEAL, key_id="other"), EVENT),
    (replace(SEAL, create_time=TIME + timedelta(seconds=1)), EVENT),
    (SEAL, replace(EVENT, sequence=8)),
    (SEAL, replace(EVENT, transaction_id=701)),
    (SEAL, replace(EVENT, key_id="other")),
    (SEAL, replace(EVENT, mac=b"other")),
]


def test_the_chains_hash_depends_on_all_content_and_the_previous_hash() -> None:
    """On each field of the place, of the event and of its entry."""
    plain = hash_of(START, SEAL, EVENT, SECRET)
    found = [hash_of(START, seal, event, SECRET) for seal, event in CHANGES]
    found += [hash_of(bytes([1, *START[1:]]), SEAL, EVENT, SECRET), hash_of(START, SEAL, EVENT, b"another")]
    for field in fields(AuditEntry):
        others = {"create_time": TIME + timedelta(1), "caller_id": UUID(int=2), "id": UUID(int=3)}
        other: dict[str, Any] = {field.name: others.get(field.name, "changed")}
        changed = replace(ENTRY, **other)
        found.append(hash_of(START, SEAL, replace(EVENT, entry=changed), SECRET))
    assert len({plain, *found}) == 1 + len(found)
    # The place is not part of what is signed.
    assert hash_of(START, replace(SEAL, hash=b"x"), replace(EVENT, position=4, hash=b"y"), SECRET) == plain


def test_signing_an_entry_takes_few_steps() -> None:
    """Every change in the product pays for them; they are counted, since their time depends on other work."""
    calls: list[str] = []
    sys.setprofile(lambda _frame, event, _of: calls.append(event) if event in ("call", "c_call") else None)
    try:
        mac_of(ENTRY, SECRET)
    finally:
        sys.setprofile(None)
    assert 0 < len(calls) < 60
