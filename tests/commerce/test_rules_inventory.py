"""Deciding stock adjustments, compared with a simple model."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.commerce.errors import ProductNotFound, StockTooLow
from server.commerce.rules.inventory import AdjustStock, Ledger, adjust, check_sign
from server.frame.errors import FieldInvalid
from storage.commerce.records import StockItem, StockLevel, StockReason
from tests.commerce.values import LAW, NOW, SERVICE, adjustment, by_sku, stock_item

DELTAS = st.integers(-12, 12).filter(bool) | st.sampled_from([10**9, -(10**9)])
ASKS = st.lists(st.builds(adjustment, st.sampled_from("AB"), DELTAS), max_size=15)
LEVELS = st.tuples(st.integers(0, 20), st.integers(0, 5)).map(lambda level: (level[0] + level[1], level[1]))
SHELVES = st.tuples(LEVELS, LEVELS).map(
    lambda levels: by_sku(
        stock_item(sku, on_hand, held=held) for sku, (on_hand, held) in zip("AB", levels, strict=True)
    )
)


@LAW
@given(ASKS, SHELVES)
def test_an_adjustment_is_granted_exactly_where_enough_is_left(
    asks: list[AdjustStock], stock_items: Mapping[str, StockItem]
) -> None:
    """Each is decided on what the ones before it left, and answered with the level after it."""
    on_hand = {sku: stock_item.on_hand for sku, stock_item in stock_items.items()}
    for ask, answer in zip(asks, adjust(asks, stock_items, NOW).answers, strict=True):
        held = stock_items[ask.sku].held
        if on_hand[ask.sku] + ask.delta >= held:
            on_hand[ask.sku] += ask.delta
            assert answer == StockLevel(ask.sku, on_hand[ask.sku], held)
        else:
            assert isinstance(answer, StockTooLow)
            assert answer.metadata == {"sku": ask.sku, "available": str(on_hand[ask.sku] - held)}


@LAW
@given(ASKS, SHELVES)
def test_the_movements_add_up_to_the_levels_that_were_answered(
    asks: list[AdjustStock], stock_items: Mapping[str, StockItem]
) -> None:
    """One movement for a granted request, none for a refused one, and never less on hand than reserved."""
    decision = adjust(asks, stock_items, NOW)
    levels = {stock_item.product_id: (stock_item.on_hand, stock_item.held) for stock_item in stock_items.values()}
    for move in decision.moves:
        on_hand, held = levels[move.product_id]
        levels[move.product_id] = (on_hand + move.on_hand_delta, held + move.held_delta)
        assert levels[move.product_id] == (move.on_hand_after, move.held_after)
        assert 0 <= move.held_after <= move.on_hand_after
    granted = [answer for answer in decision.answers if isinstance(answer, StockLevel)]
    assert [(move.on_hand_after, move.held_after) for move in decision.moves] == [
        (level.on_hand, level.held) for level in granted
    ]


def test_a_movement_has_its_reason_and_account() -> None:
    """The request's reason, note and account are in the ledger, and no order."""
    [move] = adjust([adjustment("A", -3, note="broken")], by_sku([stock_item("A", 5, held=2)]), NOW).moves
    assert (move.reason, move.note, move.account_id) == (StockReason.WRITTEN_OFF, "broken", SERVICE.account_id)
    assert (move.on_hand_delta, move.held_delta, move.order_id, move.create_time) == (-3, 0, None, NOW)


def test_an_unknown_product_is_refused_alone() -> None:
    """The other requests are decided as if it had not been sent."""
    asks = [adjustment("A", 1), adjustment("NONE", 1), adjustment("A", 1)]
    decision = adjust(asks, by_sku([stock_item("A", 0)]), NOW)
    assert [decision.answers[0], decision.answers[2]] == [StockLevel("A", 1, 0), StockLevel("A", 2, 0)]
    assert isinstance(decision.answers[1], ProductNotFound)
    assert decision.answers[1].metadata == {"sku": "NONE"}
    assert len(decision.moves) == 2


def test_reserved_stock_is_never_taken_away() -> None:
    """The last available piece can be removed, and the first reserved one cannot."""
    asks = [adjustment("A", -4), adjustment("A", -3), adjustment("A", -1)]
    answers = adjust(asks, by_sku([stock_item("A", 5, held=2)]), NOW).answers
    assert isinstance(answers[0], StockTooLow)
    assert answers[1] == StockLevel("A", 2, 2)
    assert isinstance(answers[2], StockTooLow)


def test_the_ledger_continues_from_its_own_movements() -> None:
    """A movement changes what is available to the next one, and to no other product."""
    ledger = Ledger([stock_item("A", 10), stock_item("B", 1)], NOW)
    ledger.move("A", StockReason.HELD, SERVICE.account_id, held=4)
    ledger.move("A", StockReason.CORRECTED, SERVICE.account_id, on_hand=-2)
    assert (ledger.level("A"), ledger.available("A")) == (StockLevel("A", 8, 4), 4)
    assert (ledger.level("B"), ledger.available("B")) == (StockLevel("B", 1, 0), 1)


@pytest.mark.parametrize(
    ("reason", "fitting"),
    [
        (StockReason.RECEIVED, {1}),
        (StockReason.RETURNED, {1}),
        (StockReason.WRITTEN_OFF, {-1}),
        (StockReason.CORRECTED, {1, -1}),
    ],
)
def test_each_reason_has_its_sign(reason: StockReason, fitting: set[int]) -> None:
    """Receipts and returns add, write-offs remove, and a count may do either."""
    for delta in (1, -1):
        if delta in fitting:
            check_sign(reason, delta)
        else:
            with pytest.raises(FieldInvalid) as refused:
                check_sign(reason, delta)
            assert [violation.path for violation in refused.value.fields] == ["delta"]
