"""Who is told of which change."""

from server.commerce.rules.orders import customer_to_list
from server.frame.caller import Caller
from storage.commerce.records import Order, OrderAudience


def audience_of(customer_id: str | None, caller: Caller) -> OrderAudience:
    """Which orders a caller is told of who asks for one customer's, or for all; raises CustomerNotPermitted."""
    if customer_id is None and caller.may("orders.place_for") and not caller.may("orders.read_all"):
        return OrderAudience(account_id=caller.account_id)
    return OrderAudience(customer_id=customer_to_list(customer_id, caller))


def concerns(order: Order, audience: OrderAudience) -> bool:
    """Whether an audience is told of an order."""
    if audience.customer_id is not None and order.customer_id != audience.customer_id:
        return False
    mine = audience.account_id
    return mine is None or order.customer_id == str(mine) or order.placed_by == mine
