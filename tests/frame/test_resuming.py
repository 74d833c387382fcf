"""Resume tokens: a watch's position, in a text that its caller stores."""

import base64
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backroom.commerce.v1 import inventory_service_pb2, order_service_pb2
from server.frame.errors import ResumeTokenExpired, ResumeTokenInvalid
from server.frame.resuming import TOKEN_LIFE, Position, Watch, watch_of
from storage.snapshots import Snapshot
from tests.fixtures.examples import examples

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAX_TIMELINE = f"{2**64 - 1:x}.{2**32 - 1:08x}"
TIMELINE = "6b0d2c4e9a71f003.00000002"
LARGEST = 2**63 - 1
EPOCH = 2**32


@st.composite
def snapshots(draw: st.DrawFn, largest: int = LARGEST, most: int = 20) -> Snapshot:
    """Any snapshot that PostgreSQL may take."""
    numbers = st.integers(1, largest).filter(lambda number: number % EPOCH)
    first, last = sorted(draw(st.tuples(numbers, numbers)))
    under_way = draw(st.sets(st.integers(first, last - 1), max_size=most)) if first < last else set()
    return Snapshot(first, last, tuple(sorted(under_way)))


timelines = st.builds("{:x}.{:08x}".format, st.integers(0, 2**64 - 1), st.integers(1, 2**32 - 1))
positions = st.builds(Position, st.just(NOON), timelines, snapshots()) | st.builds(
    Position, st.just(NOON), timelines, snapshots(), snapshots(), st.integers(0, LARGEST)
)


def request(token: str = "", customer_id: str = "") -> order_service_pb2.WatchOrdersRequest:
    return order_service_pb2.WatchOrdersRequest(resume_token=token, customer_id=customer_id)


def token_of(position: Position, customer_id: str = "") -> str:
    return watch_of(request(customer_id=customer_id), NOON).token(position)


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def forged(rest: str) -> str:
    """A token of the right watch, with the current time and a forged end."""
    return dated(f"{TIMELINE} {rest}")


def dated(rest: str) -> str:
    """The same, with anything after the time."""
    digest = watch_of(request(), NOON).digest
    return encoded(f"{digest.hex()} {int(NOON.timestamp())} {rest}")


@given(positions)
def test_a_token_holds_the_position_to_resume_from(position: Position) -> None:
    """Whatever is in it, a watch that is opened with it starts there."""
    assert watch_of(request(token_of(position)), NOON).position == position


def test_without_a_token_a_watch_begins_with_new_changes() -> None:
    """It has no position yet."""
    assert watch_of(request(), NOON).position is None


@given(st.lists(st.integers(0, 1_000_000), min_size=1, max_size=2000))
def test_the_longest_token_fits_into_the_contract(steps: list[int]) -> None:
    """If too many transactions are under way, the snapshot is known not to fit."""
    under_way = tuple(accumulate((step + 1 for step in steps), initial=10**18))
    snapshot = Snapshot(10**18, under_way[-1] + 1, under_way)
    longest = token_of(Position(NOON, MAX_TIMELINE, snapshot, snapshot, LARGEST))
    assert len(longest) <= 4096 or not snapshot.fits
    assert snapshot.fits or len(under_way) > 150


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_garbage_is_refused_as_a_token(garbage: str) -> None:
    """Whatever it holds."""
    if garbage:
        with pytest.raises(ResumeTokenInvalid):
            watch_of(request(garbage.encode(errors="ignore").decode() or "?"), NOON)


@examples(300)
@given(positions, st.data())
def test_a_damaged_token_does_no_harm(position: Position, data: st.DataObject) -> None:
    """It is refused, or is a token of another position; no other error is raised."""
    token = token_of(position)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.text("Aa09-_=", max_size=3))
    try:
        watch = watch_of(request(token[:place] + other + token[place + 1 :]), NOON)
    except (ResumeTokenInvalid, ResumeTokenExpired):
        return
    assert watch.position is None or Snapshot.of(str(watch.position.newest)) == watch.position.newest


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "7",
        "7:0",
        "0:5:",  # there is no transaction 0
        "-7:5:",
        "07:5:",
        "+7:5:",
        "7:-1:",
        "7:5:,",
        "7:5:5",  # not below xmax
        "7:5:1,0",  # a duplicate
        "7:5:1:",
        "7:5:\N{ARABIC-INDIC DIGIT ONE}",
        f"{LARGEST}:1:",
        f"{10**19}:0:",
        "7:5:1 ",
        "7:5:1 9:5:",
        "7:5:1 9:5: -1",
        "7:5:1 9:5: 01",
        f"7:5:1 9:5: {LARGEST + 1}",
        "7:5:1 9:5: 1 1",
        "7:5:1 0:5: 1",
        "7:5:1\n",
        "7:5:1'; DROP TABLE frame.events; --",
    ],
)
def test_only_snapshots_that_postgresql_accepts_are_tokens(rest: str) -> None:
    """Everything else is refused before the database is queried."""
    assert watch_of(request(forged("7:5:1 9:5: 1")), NOON).position is not None
    with pytest.raises(ResumeTokenInvalid):
        watch_of(request(forged(rest)), NOON)


def test_a_token_belongs_to_one_watch() -> None:
    """Neither to one with another filter, nor of another kind."""
    token = token_of(Position(NOON, TIMELINE, Snapshot(1, 1)), customer_id="1")
    assert watch_of(request(token, customer_id="1"), NOON).position is not None
    others: list[Any] = [request(token), request(token, customer_id="2")]
    for other in (*others, inventory_service_pb2.WatchStockRequest(resume_token=token)):
        with pytest.raises(ResumeTokenInvalid):
            watch_of(other, NOON)


def test_the_order_of_a_filters_values_does_not_matter() -> None:
    """Nor how often one is given."""

    def watch(*skus: str, token: str = "") -> Watch:
        return watch_of(inventory_service_pb2.WatchStockRequest(skus=skus, resume_token=token), NOON)

    token = watch("A", "B").token(Position(NOON, TIMELINE, Snapshot(1, 1)))
    assert watch("B", "A", "B", token=token).position is not None
    with pytest.raises(ResumeTokenInvalid):
        watch("A", token=token)


def test_a_token_expires_with_the_events_that_it_continues_from() -> None:
    """After 30 days, to the second."""
    token = token_of(Position(NOON, TIMELINE, Snapshot(1, 1)))
    assert watch_of(request(token), NOON + TOKEN_LIFE).position is not None
    with pytest.raises(ResumeTokenExpired):
        watch_of(request(token), NOON + TOKEN_LIFE + timedelta(seconds=1))


def test_a_token_without_a_timeline_has_expired() -> None:
    """It is from before tokens held one, and its transaction ids may have been reused."""
    for rest in ("7:5:1", "7:5:1 9:5: 1"):
        with pytest.raises(ResumeTokenExpired):
            watch_of(request(dated(rest)), NOON)


@pytest.mark.parametrize(
    "timeline", ["", "1", ".00000001", "6b.1", "6B.00000001", "6b.00000001.00000001", f"{2**64:x}.00000001"]
)
def test_an_invalid_timeline_is_refused(timeline: str) -> None:
    """As malformed."""
    with pytest.raises(ResumeTokenInvalid):
        watch_of(request(dated(f"{timeline} 7:5:1")), NOON)


@examples(300)
@given(snapshots(12, 6), st.integers(0, 12))
def test_a_snapshot_cut_at_a_transaction_shows_the_same_transactions_up_to_it(snapshot: Snapshot, last: int) -> None:
    """And none after it, which count as not started."""
    short = snapshot.up_to(last)
    shown = set(range(snapshot.xmax)) - set(snapshot.under_way)
    assert set(range(short.xmax)) - set(short.under_way) == {xid for xid in shown if xid <= last}
    assert snapshot.covers(short)


def test_a_snapshot_may_end_with_the_last_transaction_of_an_epoch() -> None:
    """The next number is not a transaction's id, and PostgreSQL accepts no snapshot that ends there."""
    assert Snapshot(EPOCH - 5, EPOCH + 7).up_to(EPOCH - 1) == Snapshot(EPOCH - 5, EPOCH + 1)


@examples(300)
@given(snapshots(12, 6), snapshots(12, 6))
def test_a_snapshot_covers_another_that_shows_no_more(one: Snapshot, other: Snapshot) -> None:
    """All transactions that had committed in the other had in this; the last one below xmax is never under way."""

    def shown(snapshot: Snapshot) -> set[int]:
        return set(range(snapshot.xmax)) - set(snapshot.under_way)

    if one.covers(other):
        assert shown(one) >= shown(other)
    elif other.xmax - 1 not in other.under_way:
        assert not shown(one) >= shown(other)


@pytest.mark.parametrize(("first", "last"), [(EPOCH, EPOCH), (1, EPOCH), (EPOCH, EPOCH + 1)])
def test_the_first_number_of_an_epoch_ends_no_snapshot(first: int, last: int) -> None:
    """PostgreSQL would not accept it, and a token that holds it is not ours."""
    with pytest.raises(ValueError, match="not a snapshot"):
        Snapshot(first, last)


@examples(25)
@given(snapshot=snapshots())
def test_postgresql_accepts_every_snapshot(postgres: str, snapshot: Snapshot) -> None:
    """And returns it unchanged."""
    with psycopg.connect(postgres) as connection:
        [text] = connection.execute("SELECT %s::text::pg_snapshot::text", [str(snapshot)]).fetchone() or [""]
    assert Snapshot.of(text) == snapshot
