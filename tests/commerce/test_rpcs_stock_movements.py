"""ListStockMovements, over the wire: the ledger of all changes of a product's stock."""

import base64
from typing import Any
from uuid import uuid4

import grpc

from backroom.commerce.v1 import inventory_service_pb2 as pb
from backroom.commerce.v1 import stock_pb2
from backroom.common.v1 import page_pb2
from tests.commerce.goods import cancelled, created, pages, placed, receipt, stock_of, stocked
from tests.fixtures.servers import Api, refusal


async def ledger(api: Api, sku: str, **request: Any) -> list[stock_pb2.StockMovement]:
    """All movements of a product, latest first."""
    read = await pages(api.inventory.ListStockMovements, pb.ListStockMovementsRequest(sku=sku, **request), "movements")
    return [movement for page in read for movement in page]


def told(movement: stock_pb2.StockMovement) -> tuple[str, int, int, int, int, str, str, str]:
    deltas = (movement.on_hand_delta, movement.held_delta)
    after = (movement.on_hand_after, movement.held_after)
    reason = stock_pb2.StockReason.Name(movement.reason).removeprefix("STOCK_REASON_")
    return (reason, *deltas, *after, movement.order_id, movement.note, movement.account_id)


async def test_the_ledger_has_reason_account_and_order(service: Api, customer: Api) -> None:
    """Each change of the stock is one entry; several lines of an order are combined."""
    await created(service, "A")
    await service.inventory.AdjustStock(receipt("A", 10, note="lorry 1"))
    order = await placed(customer, ("A", 2), ("A", 1))
    loss = pb.AdjustStockRequest(sku="A", delta=-4, reason=stock_pb2.STOCK_REASON_WRITTEN_OFF, note="broken")
    await service.inventory.AdjustStock(loss)
    await cancelled(service, order, reason="not a note")
    assert [told(movement) for movement in await ledger(service, "A")] == [
        ("RELEASED", 0, -3, 6, 0, order.order_id, "", str(service.account_id)),
        ("WRITTEN_OFF", -4, 0, 6, 3, "", "broken", str(service.account_id)),
        ("HELD", 0, 3, 10, 3, order.order_id, "", str(customer.account_id)),
        ("RECEIVED", 10, 0, 10, 0, "", "lorry 1", str(service.account_id)),
    ]


async def test_the_sum_of_all_entries_is_the_stock(service: Api) -> None:
    """For each product separately, and each entry has its SKU and its time."""
    for sku in ("A", "B"):
        await stocked(service, sku, 20)
    for quantity in range(1, 4):
        order = await placed(service, ("A", quantity), ("B", 1), ("A", quantity))
        if quantity == 2:
            await cancelled(service, order)
    for sku in ("A", "B"):
        entries = await ledger(service, sku)
        on_hand, held = (sum(each.on_hand_delta for each in entries), sum(each.held_delta for each in entries))
        assert (on_hand, held, on_hand - held) == await stock_of(service, sku)
        assert {entry.sku for entry in entries} == {sku}
        assert all(entry.create_time.seconds for entry in entries)
    assert await stock_of(service, "A") == (20, 8, 12)


async def test_a_refused_change_leaves_no_entry(service: Api) -> None:
    """Nor does a repeated one leave a second entry."""
    await created(service, "A")
    request = receipt("A", 3, request_id=str(uuid4()))
    for _ in range(2):
        await service.inventory.AdjustStock(request)
    assert (await refusal(placed(service, ("A", 4)))).reason == "OUT_OF_STOCK"
    less = pb.AdjustStockRequest(sku="A", delta=-4, reason=stock_pb2.STOCK_REASON_CORRECTED)
    assert (await refusal(service.inventory.AdjustStock(less))).reason == "STOCK_TOO_LOW"
    assert len(await ledger(service, "A")) == 1


async def test_pages_hold_each_entry_once_latest_first(service: Api) -> None:
    """Whatever their size, and whatever is added meanwhile."""
    await created(service, "A")
    await created(service, "B")
    for pieces in range(1, 8):
        await service.inventory.AdjustStock(receipt("A", pieces))
        await service.inventory.AdjustStock(receipt("B", pieces))
    for size in (0, 1, 3, 7, 2000):
        assert [each.on_hand_delta for each in await ledger(service, "A", page_size=size)] == [7, 6, 5, 4, 3, 2, 1]
    first = await service.inventory.ListStockMovements(pb.ListStockMovementsRequest(sku="A", page_size=3))
    await service.inventory.AdjustStock(receipt("A", 99))
    rest = await ledger(service, "A", page_token=first.next_page_token, page_size=3)
    assert [each.on_hand_delta for each in (*first.movements, *rest)] == [7, 6, 5, 4, 3, 2, 1]
    sequences = [each.sequence for each in (*first.movements, *rest)]
    assert sequences == sorted({*sequences}, reverse=True)


async def test_a_product_without_movements_has_an_empty_ledger(service: Api) -> None:
    """A product that does not exist has none."""
    await created(service, "A")
    assert await ledger(service, "A") == []
    refused = await refusal(ledger(service, "a"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "PRODUCT_NOT_FOUND")
    assert refused.metadata == {"sku": "a"}


async def test_a_token_is_bound_to_its_product_and_validated(service: Api) -> None:
    """Neither another product's token nor a corrupted one is accepted."""
    for sku in ("A", "B"):
        await created(service, sku)
        for pieces in (1, 2):
            await service.inventory.AdjustStock(receipt(sku, pieces))
    page = await service.inventory.ListStockMovements(pb.ListStockMovementsRequest(sku="A", page_size=1))
    good = page.next_page_token
    digest = page_pb2.PageToken.FromString(base64.urlsafe_b64decode(good + "=" * (-len(good) % 4))).list_digest
    sorts = [[], ["1", "2"], [""], ["x"], ["-1"], ["1.5"], [str(2**63)]]
    contents = [page_pb2.PageToken(list_digest=digest, after=after) for after in sorts]
    spoilt = [base64.urlsafe_b64encode(each.SerializeToString()).decode().rstrip("=") for each in contents]
    for sku, page_token in [("B", good), *(("A", each) for each in spoilt)]:
        request = pb.ListStockMovementsRequest(sku=sku, page_token=page_token)
        refused = await refusal(service.inventory.ListStockMovements(request))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"), page_token


async def test_a_field_out_of_bounds_is_named_by_its_path(service: Api, customer: Api) -> None:
    """A negative page_size, and an empty or too long SKU; customers cannot read the ledger at all."""
    for path, request in [
        ("page_size", pb.ListStockMovementsRequest(sku="A", page_size=-1)),
        ("sku", pb.ListStockMovementsRequest()),
        ("sku", pb.ListStockMovementsRequest(sku="A" * 65)),
    ]:
        refused = await refusal(service.inventory.ListStockMovements(request))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
        assert [*refused.fields] == [path]
    refused = await refusal(ledger(customer, "A"))
    assert refused.metadata == {"permission": "inventory.read"}
