"""AdjustStock and GetStock, over the wire."""

from typing import Any
from uuid import uuid4

import grpc

from backroom.commerce.v1 import inventory_service_pb2 as pb
from backroom.commerce.v1 import stock_pb2
from tests.commerce.books import count
from tests.commerce.goods import cancelled, created, placed, raw, receipt, stock_of, stocked
from tests.fixtures.servers import Api, Running, refusal
from tests.invariants import broken

RECEIVED = stock_pb2.STOCK_REASON_RECEIVED
RETURNED = stock_pb2.STOCK_REASON_RETURNED
WRITTEN_OFF = stock_pb2.STOCK_REASON_WRITTEN_OFF
CORRECTED = stock_pb2.STOCK_REASON_CORRECTED
HELD = stock_pb2.STOCK_REASON_HELD
RELEASED = stock_pb2.STOCK_REASON_RELEASED


async def adjust(api: Api, delta: int, reason: Any = CORRECTED, **rest: Any) -> tuple[int, int, int]:
    """(on hand, held, available) of the product A after the adjustment"""
    request = pb.AdjustStockRequest(**{"sku": "A", "delta": delta, "reason": reason, **rest})
    stock = (await api.inventory.AdjustStock(request)).stock
    assert stock.sku == request.sku
    return (stock.on_hand, stock.held, stock.available)


async def test_an_adjustment_is_answered_with_the_stock_after_it(service: Api) -> None:
    """Reserved goods are on hand and not available."""
    await created(service, "A")
    assert await adjust(service, 10, RECEIVED) == (10, 0, 10)
    await placed(service, ("A", 4))
    assert await adjust(service, -1, WRITTEN_OFF) == (9, 4, 5)
    assert await adjust(service, 2, RETURNED) == (11, 4, 7)
    assert await stock_of(service, "A") == (11, 4, 7)


async def test_each_reason_has_its_sign(service: Api) -> None:
    """More by a receipt or a return, less by a write-off, either by a count."""
    await stocked(service, "A", 10)
    fitting = {(1, RECEIVED), (1, RETURNED), (-1, WRITTEN_OFF), (1, CORRECTED), (-1, CORRECTED)}
    for delta in (1, -1):
        for reason in (RECEIVED, RETURNED, WRITTEN_OFF, CORRECTED):
            if (delta, reason) in fitting:
                await adjust(service, delta, reason)
            else:
                refused = await refusal(adjust(service, delta, reason))
                assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
                assert [*refused.fields] == ["delta"]
    assert await stock_of(service, "A") == (11, 0, 11)


async def test_a_field_out_of_bounds_is_named_by_its_path(server: Running, service: Api) -> None:
    """Only orders reserve and release, so no adjustment may use those reasons; nothing is stored."""
    await created(service, "A")
    cases: list[tuple[str, dict[str, Any]]] = [
        *(("delta", {"delta": delta}) for delta in (0, 10**9 + 1, -(10**9) - 1, 2**63 - 1, -(2**63))),
        *(("reason", {"reason": reason}) for reason in (0, HELD, RELEASED, 99)),
        *(("sku", {"sku": sku}) for sku in ("", "A" * 65, "\0")),
        *(("note", {"note": note}) for note in ("n" * 501, "\0")),
        ("request_id", {"request_id": "1"}),
    ]
    for path, given in cases:
        refused = await refusal(adjust(service, **{"delta": 1, **given}))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"), given
        assert [*refused.fields] == [path], given
    assert await count(server.database, "stock_movements") == 0


async def test_the_bounds_themselves_are_allowed(service: Api) -> None:
    """A billion pieces in and out, with a note of 500 characters."""
    await created(service, "A")
    assert await adjust(service, 10**9, RECEIVED, note="ä" * 500) == (10**9, 0, 10**9)
    assert await adjust(service, 10**9, RECEIVED) == (2 * 10**9, 0, 2 * 10**9)
    assert await adjust(service, -(10**9), WRITTEN_OFF) == (10**9, 0, 10**9)


async def test_reserved_stock_is_never_taken_away(server: Running, service: Api) -> None:
    """The refusal states what is available, and all of that can be removed."""
    await stocked(service, "A", 5)
    order = await placed(service, ("A", 2))
    for reason in (WRITTEN_OFF, CORRECTED):
        refused = await refusal(adjust(service, -4, reason))
        assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STOCK_TOO_LOW")
        assert refused.metadata == {"sku": "A", "available": "3"}
    assert await adjust(service, -3, WRITTEN_OFF) == (2, 2, 0)
    await cancelled(service, order)
    assert await adjust(service, -2, WRITTEN_OFF) == (0, 0, 0)
    assert (await refusal(adjust(service, -1))).metadata == {"sku": "A", "available": "0"}
    assert await broken(server.database) == {}


async def test_a_missing_product_is_named(service: Api) -> None:
    """By its SKU, whose case matters."""
    await created(service, "A")
    for call in (adjust(service, 1, sku="a"), stock_of(service, "a")):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "PRODUCT_NOT_FOUND")
        assert refused.metadata == {"sku": "a"}


async def test_a_repeated_adjustment_gets_the_first_answer(server: Running, service: Api) -> None:
    """Byte for byte even after other changes, and the goods are added once."""
    await created(service, "A")
    request = receipt("A", 5, request_id=str(uuid4()), note="lorry 1")
    first = await service.inventory.AdjustStock(request)
    await adjust(service, -1, WRITTEN_OFF)
    await placed(service, ("A", 2))
    assert raw(await service.inventory.AdjustStock(request)) == raw(first)
    assert first.stock == stock_pb2.Stock(sku="A", on_hand=5, held=0, available=5)
    assert await stock_of(service, "A") == (4, 2, 2)
    assert await broken(server.database) == {}


async def test_a_request_id_is_bound_to_one_content(service: Api, admin: Api) -> None:
    """For one caller: another caller's equal request_id is separate."""
    await created(service, "A")
    request_id = str(uuid4())
    await adjust(service, 5, RECEIVED, request_id=request_id)
    others: list[dict[str, Any]] = [{"delta": 6}, {"note": "again"}, {"sku": "B"}, {"reason": RETURNED}]
    for other in others:
        content = {"delta": 5, "reason": RECEIVED, "request_id": request_id, **other}
        refused = await refusal(adjust(service, **content))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    assert await adjust(admin, 5, RECEIVED, request_id=request_id) == (10, 0, 10)


async def test_a_refused_adjustment_may_be_tried_again(service: Api) -> None:
    """The refusal is not stored: once there is enough, the same request succeeds."""
    await stocked(service, "A", 1)
    request_id = str(uuid4())
    assert (await refusal(adjust(service, -2, WRITTEN_OFF, request_id=request_id))).reason == "STOCK_TOO_LOW"
    await adjust(service, 5, RECEIVED)
    assert await adjust(service, -2, WRITTEN_OFF, request_id=request_id) == (4, 0, 4)


async def test_customers_cannot_use_stock_methods(server: Running, customer: Api) -> None:
    """Neither to read nor to change, and they do not learn whether a product exists."""
    staff = await server.sign_in("staff")
    assert (await refusal(stock_of(staff, "A"))).reason == "PRODUCT_NOT_FOUND"
    for call, permission in ((adjust(customer, 1), "inventory.adjust"), (stock_of(customer, "A"), "inventory.read")):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
        assert refused.metadata == {"permission": permission}
