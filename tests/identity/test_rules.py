"""Identity's rules, without a store."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.frame.caller import Caller
from server.frame.editing import Edit, etag_of
from server.frame.errors import EtagMismatch
from server.identity.errors import LastAdmin, PermissionNotHeld, PermissionUnknown, RoleExists, RoleNotFound
from server.identity.rules.accounts import normal_email
from server.identity.rules.roles import (
    KnownRole,
    RoleDraft,
    drafted,
    edited,
    known_roles,
    require_other_admin,
    require_permissions,
)
from server.identity.rules.sessions import REFRESH_GRACE, SESSION_LIFE, Renewal, renewal
from storage.identity.records import Role, Session
from tests.fixtures.examples import examples
from tests.fixtures.roles import BUILT_IN, PERMISSIONS, ROLES

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LAST = 3
TICK = timedelta(microseconds=1)
ADA, BOB = UUID(int=1), UUID(int=2)
BUYER = Role("buyer", "Buys.", ("orders.place", "orders.read"), 1, NOW, NOW)


def session(**changes: Any) -> Session:
    """A session of generation 3, refreshed just now."""
    begun = NOW - timedelta(hours=1)
    return replace(Session(UUID(int=9), ADA, LAST, begun, NOW, begun + SESSION_LIFE, None), **changes)


def test_the_newest_token_is_accepted() -> None:
    """It is exchanged for the next, however long ago it was made."""
    assert renewal(session(), LAST, NOW) is Renewal.NEXT
    assert renewal(session(), LAST, NOW + timedelta(days=29)) is Renewal.NEXT


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (timedelta(0), Renewal.SAME),
        (REFRESH_GRACE, Renewal.SAME),
        (REFRESH_GRACE + TICK, Renewal.REUSED),
    ],
)
def test_a_token_just_used_may_be_sent_again_for_ten_seconds(since: timedelta, expected: Renewal) -> None:
    """The generation before the last gets the same answer up to and including the tenth second."""
    assert renewal(session(), LAST - 1, NOW + since) is expected


@pytest.mark.parametrize("generation", [LAST - 2, 0, LAST + 1])
def test_any_other_generation_is_a_theft(generation: int) -> None:
    """One that is neither the last nor the one before ends the session, even immediately."""
    assert renewal(session(), generation, NOW) is Renewal.REUSED


@pytest.mark.parametrize(
    "ended",
    [
        None,
        session(end_time=NOW - TICK),
        session(end_time=NOW),
        session(expire_time=NOW),
        session(expire_time=NOW - TICK),
    ],
)
def test_an_ended_session_stays_ended(ended: Session | None) -> None:
    """All tokens of an unknown, ended or expired session are refused, without reporting a theft."""
    for generation in (LAST, LAST - 1, LAST - 2):
        assert renewal(ended, generation, NOW) is Renewal.ENDED


def test_a_session_lives_until_its_last_moment() -> None:
    """The last microsecond before the expiry still counts."""
    assert renewal(session(expire_time=NOW + TICK), LAST, NOW) is Renewal.NEXT


generations = st.integers(0, 2**31 - 1)
moments = st.timedeltas(timedelta(-1), timedelta(40)).map(lambda by: NOW + by)


@examples(200)
@given(last=generations, sent=generations, now=moments, expire=moments, end=st.none() | moments)
def test_only_the_last_generation_is_ever_next(
    last: int, sent: int, now: datetime, expire: datetime, end: datetime | None
) -> None:
    """Whatever the times are: NEXT means the last generation, and SAME the one before it."""
    decision = renewal(session(generation=last, expire_time=expire, end_time=end), sent, now)
    if decision is Renewal.NEXT:
        assert sent == last
    if decision is Renewal.SAME:
        assert sent == last - 1
    assert (decision is Renewal.ENDED) == (end is not None or now >= expire)


@examples(100)
@given(st.lists(st.sampled_from([LAST, LAST - 1, LAST - 2, LAST + 1]), max_size=8))
def test_no_sequence_of_tokens_moves_a_session_by_more_than_its_last_token(sent: list[int]) -> None:
    """The session's generation grows by one for each NEXT, so that no token is NEXT twice."""
    held, used = session(), set[int]()
    for generation in sent:
        if renewal(held, generation, NOW) is Renewal.NEXT:
            assert generation not in used
            used.add(generation)
            held = replace(held, generation=held.generation + 1)


@pytest.mark.parametrize("written", ["ada@example.com", "Ada@Example.COM", "  ADA@example.com\n"])
def test_an_address_has_one_canonical_form(written: str) -> None:
    """Case and surrounding space do not matter."""
    assert normal_email(written) == "ada@example.com"


@examples(100)
@given(st.emails())
def test_the_canonical_form_of_an_address_is_stable(email: str) -> None:
    """Normalizing twice equals normalizing once, and case never matters."""
    assert normal_email(normal_email(email)) == normal_email(email)
    assert normal_email(email.upper()) == normal_email(email)


def names(roles: Sequence[KnownRole]) -> list[str]:
    return [role.name for role in roles]


def test_roles_are_sorted_and_deduplicated() -> None:
    """Custom ones too."""
    assert names(known_roles(BUILT_IN, ["staff", "admin", "staff"], [])) == ["admin", "staff"]
    assert names(known_roles(BUILT_IN, [], [])) == []
    assert names(known_roles(BUILT_IN, list(ROLES), [])) == sorted(ROLES)
    assert names(known_roles(BUILT_IN, ["staff", "buyer", "admin"], [BUYER])) == ["admin", "buyer", "staff"]


def test_the_first_unknown_role_is_named() -> None:
    """The refusal's metadata has the first name that is not a role, in the order in which they were sent."""
    with pytest.raises(RoleNotFound) as raised:
        known_roles(BUILT_IN, ["staff", "buyer", "wizard", "bard"], [BUYER])
    assert raised.value.metadata == {"role": "wizard"}


@pytest.mark.parametrize("name", ["", "Admin", "admin ", "__class__"])
def test_a_role_is_identified_by_its_exact_name(name: str) -> None:
    """No other spelling of a role's name is a role."""
    with pytest.raises(RoleNotFound):
        known_roles(BUILT_IN, [name], [])


def test_a_built_in_role_wins_over_a_custom_one_of_its_name() -> None:
    """As in a database of a version that did not have it."""
    assert known_roles(BUILT_IN, ["admin"], [replace(BUYER, name="admin")]) == [BUILT_IN.get("admin")]


def test_the_last_admin_cannot_be_lost() -> None:
    """The only enabled account with the admin role cannot lose it."""
    with pytest.raises(LastAdmin):
        require_other_admin(ADA, [ADA])


@pytest.mark.parametrize("admins", [[ADA, BOB], [BOB], []])
def test_any_other_role_can_be_lost(admins: list[UUID]) -> None:
    """If another admin is left, or the account is none."""
    require_other_admin(ADA, admins)


permissions = st.frozensets(st.sampled_from(sorted(PERMISSIONS)))


@given(held=permissions, given_=permissions)
def test_no_caller_grants_what_it_lacks(held: frozenset[str], given_: frozenset[str]) -> None:
    """The refusal names the first permission that is lacking; a caller with all of them is not refused."""
    caller = Caller(ADA, held)
    if given_ <= held:
        require_permissions(caller, given_)
        return
    with pytest.raises(PermissionNotHeld) as raised:
        require_permissions(caller, given_)
    assert raised.value.metadata == {"permission": min(given_ - held)}


@given(held=permissions, before=permissions, after=permissions | st.none())
def test_editing_a_role_needs_the_permissions_before_and_after(
    held: frozenset[str], before: frozenset[str], after: frozenset[str] | None
) -> None:
    """An edit neither adds nor removes permissions that its caller lacks; a change gives it another etag."""
    role = replace(BUYER, permissions=tuple(sorted(before)))
    edit = Edit(role.name, etag_of(role), {} if after is None else {"permissions": tuple(sorted(after))})
    if before | (after or frozenset()) <= held:
        changed = edited(BUILT_IN, role, edit, Caller(ADA, held), NOW + TICK)
        assert set(changed.permissions) == (before if after is None else after)
        assert changed.description == role.description
        is_new = after is not None and after != before
        assert (changed.version, changed.update_time) == ((2, NOW + TICK) if is_new else (1, role.update_time))
        assert (etag_of(changed) != etag_of(role)) is is_new
    else:
        with pytest.raises(PermissionNotHeld):
            edited(BUILT_IN, role, edit, Caller(ADA, held), NOW)


def test_an_edit_is_refused_in_the_order_of_the_contract() -> None:
    """First for its etag, then for unknown permissions, and then for those that the caller lacks."""
    unknown = ("a.b", "access.manage")
    with pytest.raises(EtagMismatch):
        edited(BUILT_IN, BUYER, Edit("buyer", "other", {"permissions": unknown}), Caller(ADA, frozenset()), NOW)
    with pytest.raises(PermissionUnknown) as raised:
        edited(BUILT_IN, BUYER, Edit("buyer", etag_of(BUYER), {"permissions": unknown}), Caller(ADA, frozenset()), NOW)
    assert raised.value.metadata == {"permission": "a.b"}
    with pytest.raises(PermissionNotHeld):
        edited(BUILT_IN, BUYER, Edit("buyer", "", {"description": ""}), Caller(ADA, frozenset()), NOW)


def test_a_draft_is_refused_in_the_order_of_the_contract() -> None:
    """For unknown permissions, for those that the caller lacks, and then for its name."""
    nobody, all_ = Caller(ADA, frozenset()), Caller(ADA, PERMISSIONS)
    with pytest.raises(PermissionUnknown):
        drafted(BUILT_IN, RoleDraft("admin", "", ("a.b", "orders.read")), nobody, NOW)
    with pytest.raises(PermissionNotHeld):
        drafted(BUILT_IN, RoleDraft("admin", "", ("orders.read",)), nobody, NOW)
    with pytest.raises(RoleExists):
        drafted(BUILT_IN, RoleDraft("admin", "", ("orders.read",)), all_, NOW)
    assert drafted(BUILT_IN, RoleDraft("buyer", "Buys.", ("orders.read",)), all_, NOW) == replace(
        BUYER, permissions=("orders.read",), create_time=NOW, update_time=NOW
    )


def test_a_role_created_again_has_another_etag() -> None:
    """The deleted role's etag does not match it."""
    assert etag_of(BUYER) != etag_of(replace(BUYER, create_time=BUYER.create_time + TICK))
