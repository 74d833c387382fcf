"""What access and validation cost a call, in CPU, once its token is cached.

.venv/bin/python -m bench.access_and_validation

The chain's own interceptors are run around a use case that does nothing, with a real token of a real account, and
without a network. The cost is the difference between a call with both and one without either. Both include parsing
the body. The two take turns, so that other load on the machine affects both.
"""

import asyncio
import gc
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import process_time
from typing import Any
from uuid import uuid4

import grpc
import protovalidate
import structlog
import uvloop

import migrations
from backroom.commerce.v1.order_service_pb2 import GetOrderRequest, LineItem, PlaceOrderRequest
from server.frame.call import Call
from server.frame.contract import largest_bodies_of, rules_of
from server.frame.interceptors.access import Access
from server.frame.interceptors.base import Behavior, Interceptor, Method
from server.frame.interceptors.validation import Validation
from storage.database import Database
from storage.embedded import temporary_postgres
from tests.fixtures.applications import application_of
from tests.fixtures.keys import MASTER_KEYS
from tests.fixtures.roles import PERMISSIONS
from tests.fixtures.servers import sign_in

ROUNDS = 40
CALLS = 1000
GOAL = 60.0
"""In microseconds."""


class Context:
    """The parts of gRPC's context that the interceptors use."""

    def __init__(self, token: str) -> None:
        self._metadata = (("user-agent", "bench"), ("authorization", f"Bearer {token}"))

    def invocation_metadata(self) -> Any:
        return self._metadata

    def peer(self) -> str:
        return "ipv4:127.0.0.1:50000"


def calling(
    interceptors: Sequence[Interceptor], method: Method, body: bytes, token: str
) -> Callable[[], Awaitable[Any]]:
    """One call through these interceptors, as the chain makes it."""

    async def use_case(_request: Any, _call: Call) -> bytes:
        return b""

    behavior: Behavior = use_case
    for interceptor in reversed(interceptors):
        behavior = interceptor.around(method, behavior)
    parses = any(isinstance(interceptor, Validation) for interceptor in interceptors)

    async def call() -> None:
        context: Any = Context(token)
        await behavior(body if parses else method.parse(body), Call(context, method.path))

    return call


async def round_of(call: Callable[[], Awaitable[Any]]) -> float:
    """The CPU of a call in microseconds."""
    await asyncio.sleep(0.02)  # for the process's other work
    began = process_time()
    for _ in range(CALLS):
        await call()
    return (process_time() - began) / CALLS * 1e6


async def measured(without: Callable[[], Awaitable[Any]], having: Callable[[], Awaitable[Any]]) -> list[float]:
    await round_of(without)
    await round_of(having)
    gc.collect()
    return sorted([-await round_of(without) + await round_of(having) for _ in range(ROUNDS)])


async def bench(url: str) -> None:
    database = Database(url, audit_key=MASTER_KEYS.audit_key, pool_size=2)
    logger = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(50))
    application = application_of(database, logger)
    rules = rules_of((service.descriptor for service in application.services), PERMISSIONS)
    async with grpc.aio.insecure_channel("127.0.0.1:1") as nowhere:
        token = (await sign_in(application, nowhere, ["admin"])).token or ""
    watching = asyncio.create_task(application.identity.access_cache.watch(logger))
    access = Access(rules, application.identity.access_cache)
    largest = largest_bodies_of(service.descriptor for service in application.services)
    validation = Validation(protovalidate.Validator(), largest)
    lines = [LineItem(sku=f"sku-{number}", quantity=number + 1) for number in range(5)]
    requests = {
        "GetOrder": GetOrderRequest(order_id=str(uuid4())),
        "PlaceOrder of 5 lines": PlaceOrderRequest(request_id=str(uuid4()), reference="1001", lines=lines),
    }
    for what, request in requests.items():
        method = Method(f"/backroom.commerce.v1.OrderService/{what.split()[0]}", type(request).FromString)
        body = request.SerializeToString()
        plain = calling([], method, body, token)
        chains: Mapping[str, Sequence[Interceptor]] = {
            "access": [access],
            "validation": [validation],
            "both": [access, validation],
        }
        for name, chain in chains.items():
            taken = await measured(plain, calling(chain, method, body, token))
            low, middle, high = taken[len(taken) // 10], statistics.median(taken), taken[-len(taken) // 10]
            goal = f"   goal: below {GOAL:.0f}" if name == "both" else ""
            print(f"{what:22} {name:11} {middle:6.1f} us   ({low:.1f} to {high:.1f}){goal}")
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await application.finish()
    await database.close()


def main() -> None:
    with temporary_postgres() as url:
        migrations.upgrade(url)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(bench(url))


if __name__ == "__main__":
    main()
