"""How long attempts have to wait: simulated attacks with a clock of their own."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.frame.addresses import caller_network
from server.identity.rules.throttling import (
    FORGOTTEN_AFTER,
    Counter,
    Limit,
    decremented,
    mail_requests,
    mailing,
    registering,
    signing_in,
    signing_in_with,
    verdict,
)
from storage.identity.records import Attempts

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
DEVICE = UUID(int=7)
EMAIL = "ada@example.com"
HOME, ELSEWHERE = "203.0.113.7", "198.51.100.9"
ATTACKERS = [f"192.0.2.{place}" for place in range(1, 51)]

limits = st.builds(Limit, st.integers(1, 30), st.floats(0.1, 100), st.floats(100, 3600))


@dataclass
class Counted:
    """The counters, as the database stores them."""

    rows: dict[bytes, Attempts] = field(default_factory=dict)

    def tried(self, counters: Sequence[Counter], now: datetime) -> timedelta:
        """Makes a failed attempt; returns how long it has to wait instead, or zero if it was made."""
        by_key = {hashlib.sha256(each.name.encode()).digest(): each.limit for each in counters}
        found = verdict(self.rows, by_key, now)
        self.rows.update({each.key: each for each in found.counted})
        return found.wait

    def attacked(self, sources: Sequence[str], since: datetime, until: datetime) -> list[datetime]:
        """Wrong passwords for one account, from each source as soon as it may; returns their times."""
        made: list[datetime] = []
        due = dict.fromkeys(sources, since)
        while (now := min(due.values())) < until:
            source = min(due, key=lambda each: due[each])
            wait = self.tried(signing_in(EMAIL, source), now)
            if wait == timedelta():
                made.append(now)
            due[source] = now + wait
        return made


def test_the_first_attempts_are_free_and_then_waits_grow() -> None:
    """5 attempts at an account, then 1, 2, 4 ... s, and at most 300."""
    counted, now, waits = Counted(), BEGIN, []
    for _ in range(18):
        wait = counted.tried(signing_in_with(DEVICE), now)
        now += wait
        waits.append(wait.total_seconds())
        if wait:
            assert counted.tried(signing_in_with(DEVICE), now) == timedelta()
    assert waits == [0] * 5 + [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]


def test_a_refused_attempt_is_not_counted() -> None:
    """Trying meanwhile does not lengthen the wait."""
    counted = Counted()
    for _ in range(5):
        assert not counted.tried(signing_in(EMAIL, HOME), BEGIN)
    before = dict(counted.rows)
    for _ in range(100):
        assert counted.tried(signing_in(EMAIL, HOME), BEGIN) == timedelta(seconds=1)
    assert counted.rows == before


def test_an_hour_without_attempts_resets_the_counters() -> None:
    """Not a moment less."""
    counted = Counted()
    for _ in range(5):
        counted.tried(registering(HOME), BEGIN)
    key = next(iter(counted.rows))
    counted.tried(registering(HOME), BEGIN + FORGOTTEN_AFTER - timedelta(microseconds=1))
    assert counted.rows[key].count == 6
    counted.tried(registering(HOME), BEGIN + 2 * FORGOTTEN_AFTER)
    assert counted.rows[key].count == 1


def test_one_attacker_leaves_the_owner_an_opening_within_15_minutes() -> None:
    """Whenever the owner starts, from a new address, within 15 minutes there is a time when an attempt is allowed."""
    counted = Counted()
    end = BEGIN + timedelta(hours=8)
    made = counted.attacked(ATTACKERS[:1], BEGIN, end)
    assert len(made) < 60
    locked = _longest_locked(made, end)
    assert locked < timedelta(minutes=15), locked


def _longest_locked(made: Sequence[datetime], end: datetime) -> timedelta:
    """The longest period in which only the attacker may try, who is always first when both may."""
    counted, longest, since = Counted(), timedelta(), BEGIN
    for place, moment in enumerate(made):
        assert not counted.tried(signing_in(EMAIL, ATTACKERS[0]), moment)
        following = made[place + 1] if place + 1 < len(made) else end
        wait = verdict(counted.rows, _keyed(signing_in(EMAIL, ELSEWHERE)), moment).wait
        if moment + wait < following:
            longest = max(longest, moment + wait - since)
            since = following
    return longest


def _keyed(counters: Sequence[Counter]) -> dict[bytes, Limit]:
    return {hashlib.sha256(each.name.encode()).digest(): each.limit for each in counters}


@pytest.mark.parametrize("attackers", [1, 50])
def test_the_owner_gets_in_with_the_device_token(attackers: int) -> None:
    """At any moment of hours of attack, from one address and from fifty."""
    counted = Counted()
    for minute in range(0, 8 * 60, 20):
        since = BEGIN + timedelta(minutes=minute)
        counted.attacked(ATTACKERS[:attackers], since, since + timedelta(minutes=20))
        arriving = since + timedelta(minutes=20)
        assert verdict(counted.rows, _keyed(signing_in_with(DEVICE)), arriving).wait == timedelta()


def test_fifty_attackers_make_few_guesses() -> None:
    """The account's own counter limits them together: a hundred in 8 hours, where each alone would have fifty."""
    made = Counted().attacked(ATTACKERS, BEGIN, BEGIN + timedelta(hours=8))
    assert len(made) < 115


def test_guessing_at_many_accounts_from_one_address_is_throttled() -> None:
    """20 are free; in an hour no more than 34 are made."""
    counted, now, made = Counted(), BEGIN, 0
    while now < BEGIN + timedelta(hours=1):
        wait = counted.tried(signing_in(f"{made}@example.com", ELSEWHERE), now)
        made += not wait
        now += wait
    assert made <= 34


def test_an_ipv6_host_is_identified_by_its_network() -> None:
    """It chooses the rest of the address itself."""
    assert caller_network("2001:db8:1:2::7") == caller_network("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert caller_network("2001:db8:1:3::7") != caller_network("2001:db8:1:2::7")
    assert caller_network("::ffff:192.0.2.1") == caller_network("192.0.2.1") == "192.0.2.1"
    assert caller_network("") == ""


@given(limits, st.integers(0, 10_000))
def test_waits_never_shrink_or_exceed_their_bound(limit: Limit, count: int) -> None:
    """However many attempts."""
    wait = limit.wait_after(count)
    assert timedelta() <= wait <= limit.wait_after(count + 1) <= timedelta(seconds=limit.longest_wait)
    assert bool(wait) == (count >= limit.free)


@given(st.lists(st.floats(0, 4000), min_size=1, max_size=60))
def test_no_more_attempts_are_made_than_the_limit_allows(gaps: list[float]) -> None:
    """Whenever they arrive: two consecutive ones are at least the first one's wait apart."""
    counted, now = Counted(), BEGIN
    [counter] = registering(HOME)
    for gap in gaps:
        now += timedelta(seconds=gap)
        before = next(iter(counted.rows.values()), None)
        if counted.tried([counter], now) == timedelta() and before and now - before.last_time < FORGOTTEN_AFTER:
            assert now - before.last_time >= counter.limit.wait_after(before.count)


def test_taking_an_attempt_off_restores_the_counter() -> None:
    """And a counter never falls below zero."""
    assert decremented(Attempts(b"", 6, BEGIN)).count == 5
    assert decremented(Attempts(b"", 0, BEGIN)).count == 0


def test_each_kind_is_counted_separately() -> None:
    """Mails of one kind do not block another, nor registrations requests for mail."""
    counters = [*registering(HOME), *mail_requests(HOME), mailing(EMAIL, "a"), mailing(EMAIL, "b")]
    counters += [*signing_in_with(DEVICE), *signing_in(EMAIL, ELSEWHERE)]
    names = {each.name for each in counters}
    assert len(names) == 8


@pytest.mark.parametrize("prefix", [64, 56])
def test_an_ipv6_caller_that_changes_its_network_is_throttled(prefix: int) -> None:
    """Of 200 guesses at as many accounts, each from another network of one /48, few are made."""
    counted, made = Counted(), 0
    for place in range(200):
        address = str(IPv6Address((0x20010DB80001 << 80) + (place << 128 - prefix)))
        made += not counted.tried(signing_in(f"{place}@example.com", address), BEGIN)
    assert made == (30 if prefix == 64 else 40)
