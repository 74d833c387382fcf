import asyncio
from collections import Counter
import grpc, pytest
import server.serving as serving
from tests.commerce.goods import receipt, stocked, stock_of
OLD = serving._OPTIONS
@pytest.fixture(params=[(), (("grpc.http.overload_protection", 0),)], ids=["as is", "off"], autouse=True)
def opts(request, monkeypatch):
    monkeypatch.setattr(serving, "_OPTIONS", OLD + request.param)
async def test_a(opts, service):
    await stocked(service, "A", 1)
    async def one(call):
        try: await call
        except grpc.aio.AioRpcError as e: return e.code().name + " " + (e.details() or "")
        return "ok"
    for n in (900, 1500, 2000, 3000, 5000):
        print(n, Counter(await asyncio.gather(*(one(service.inventory.AdjustStock(receipt("A", 1))) for _ in range(n)))))
        print(n, Counter(await asyncio.gather(*(one(stock_of(service,"A")) for _ in range(n)))))
