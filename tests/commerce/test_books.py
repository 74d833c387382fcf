"""The checker is checked: it must find each fault that is planted."""

from tests.commerce.books import faults, faults_if
from tests.commerce.goods import ask, stocked
from tests.fixtures.servers import Api, Running

SPOILS = {
    "UPDATE commerce.stock SET on_hand = on_hand + 1": {"the fold of the movements is not the balance: A"},
    "UPDATE commerce.stock SET held = held - 1": {
        "the fold of the movements is not the balance: A",
        "the lines of the pending orders are not what is held: A",
    },
    "UPDATE commerce.stock_movements SET on_hand_after = on_hand_after + 1 WHERE reason = 'held'": {
        "a movement does not start where the one before it ended: A"
    },
    "UPDATE commerce.orders SET state = 'cancelled'": {
        "the lines of the pending orders are not what is held: A",
        "an order was not held once and released at most once: R",
    },
    "DELETE FROM commerce.stock_movements WHERE reason = 'held'": {
        "the fold of the movements is not the balance: A",
        "an order was not held once and released at most once: R",
    },
    "DELETE FROM commerce.order_lines WHERE position = 1": {
        "the lines of the pending orders are not what is held: A",
        "an order was not held once and released at most once: R",
        "the counts or the total are not the sum of the lines: R",
    },
    "UPDATE commerce.orders SET total = total + 0.000000001": {
        "the counts or the total are not the sum of the lines: R"
    },
    "UPDATE commerce.stock_movements SET order_id = '00000000-0000-0000-0000-000000000001' WHERE reason = 'held'": {
        "an order was not held once and released at most once: R",
        "an order was not held once and released at most once: 00000000-0000-0000-0000-000000000001",
    },
}


async def test_each_planted_fault_is_found(server: Running, service: Api) -> None:
    """Right books have no fault, and spoilt ones have exactly those that were planted."""
    await stocked(service, "A", 10)
    await service.orders.PlaceOrder(ask(("A", 2), ("A", 1), reference="R"))
    assert await faults(server.database) == []
    for spoil, planted in SPOILS.items():
        assert {*await faults_if(server.database, spoil)} == planted, spoil
    assert await faults(server.database) == []


async def test_a_negative_level_is_found(server: Running, service: Api) -> None:
    """Should the store's own check be gone, the checker still finds what is below nothing."""
    await stocked(service, "A", 1)
    unchecked = "ALTER TABLE commerce.stock DROP CONSTRAINT ck_stock_never_negative"
    found = await faults_if(server.database, unchecked, "UPDATE commerce.stock SET on_hand = -1")
    assert "something is negative: A" in found
