"""WatchStock, over the wire: the ledger as it grows."""

from typing import Any

import grpc
import pytest

from backroom.commerce.v1 import inventory_service_pb2 as pb
from tests.commerce.goods import cancelled, placed, receipt, stocked
from tests.commerce.watched import begun, received
from tests.fixtures.servers import Api, Running, refusal, running


@pytest.fixture
async def server(own_server: Running) -> Running:
    """A server for this test alone: the latest changes stay in a server's memory."""
    return own_server


def watch(api: Api, *skus: str, token: str = "") -> Any:
    return api.inventory.WatchStock(pb.WatchStockRequest(skus=skus, resume_token=token))


async def ledger(api: Api, *skus: str) -> list[Any]:
    """All movements of these products, in the order in which they happened."""
    pages = [await api.inventory.ListStockMovements(pb.ListStockMovementsRequest(sku=sku)) for sku in skus]
    return sorted((entry for page in pages for entry in page.movements), key=lambda entry: int(entry.sequence))


async def trade(api: Api) -> None:
    """Movements of three products: receipts, reservations and a release, some of them in one transaction."""
    for sku in ("TEA", "MUG", "JAM"):
        await stocked(api, sku, 100)
    order = await placed(api, ("TEA", 1), ("MUG", 2), ("TEA", 3))
    await api.inventory.AdjustStock(receipt("JAM", 5, note="found"))
    await cancelled(api, order)


@pytest.mark.parametrize("skus", [(), ("TEA",), ("JAM", "MUG", "MUG"), ("MUG", "NONE")])
async def test_every_movement_is_sent_as_the_ledger_lists_it(
    server: Running, service: Api, skus: tuple[str, ...]
) -> None:
    """Of the requested products, or of all, in the order in which they happened; and again at another server."""
    call = watch(service, *skus)
    start = await begun(call)
    await trade(service)
    expected = await ledger(service, *({*skus} - {"NONE"} or ("TEA", "MUG", "JAM")))
    messages = await received(call, len(expected))
    assert [message.movement for message in messages] == expected
    tokens = [start, *(message.resume_token for message in messages)]
    async with running(server.database) as another:
        for place in range(len(expected)):
            again = watch(Api(another.channel, service.token), *skus, token=tokens[place])
            assert [message.movement for message in await received(again, len(expected) - place)] == expected[place:]
            again.cancel()


async def test_a_token_is_bound_to_its_products(service: Api) -> None:
    """In whatever order they are named; for others it is refused, and so is garbage."""
    start = await begun(watch(service, "TEA", "MUG"))
    await stocked(service, "TEA", 1)
    [message] = await received(watch(service, "MUG", "TEA", token=start), 1)
    assert message.movement.on_hand_after == 1
    for call in (watch(service, token=start), watch(service, "TEA", token=start), watch(service, token="canary")):
        refused = await refusal(call.read())
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "RESUME_TOKEN_INVALID")
