"""The replay: products, stock, orders and write-offs, one after the other, as fast as the server answers."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from enum import Enum
from typing import Protocol, TypeVar

import grpc

from backroom.commerce.v1.inventory_service_pb2 import AdjustStockRequest
from backroom.commerce.v1.order_service_pb2 import PlaceOrdersRequest, PlaceOrdersResponse
from client import AsyncBackroom, Refusal, refusal_from, refusal_of
from server.cli.replay import plan
from server.cli.replay.dataset import Dataset, Order, WriteOff
from server.cli.replay.figures import Outcome, Refusals, Tally, UnexpectedAnswer, expected, placed_lines

ADJUSTMENTS_IN_FLIGHT = 64
ORDERS_IN_FLIGHT = 256

DELAYS = (0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0)
"""In seconds: how long to wait before each further try, when the server is away or busy for a moment."""

_OF_THE_CHANGE = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ABORTED,
    }
)
"""The codes that refuse one change and say nothing of the next one."""

Answer = TypeVar("Answer")
Item = TypeVar("Item")
Sleep = Callable[[float], Awaitable[None]]


class ReplayFailed(Exception):
    """The replay cannot go on; the text is one line that says at what it stopped, and why."""


class Step(Enum):
    """What a replay does, one after the other; the value is what is then done."""

    IMPORT = "products imported"
    RECEIVE = "products stocked"
    PLACE = "orders placed"
    WRITE_OFF = "write-offs booked"


class Progress(Protocol):
    """Is told how far the replay has come."""

    def begin(self, step: Step, total: int) -> None: ...

    def advance(self, count: int = 1) -> None: ...


async def replay(
    client: AsyncBackroom,
    dataset: Dataset,
    progress: Progress,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Sleep = asyncio.sleep,
) -> Outcome:
    """Replays a selection; a second replay of the same rows changes nothing and ends with the same figures.

    A refused change is counted, with its reason, and the replay goes on.
    Raises ReplayFailed where it cannot: the server stays away, or permits nothing.
    """
    run = _Run(client, dataset, progress, sleep)
    began = clock()
    await run.guarded(Step.IMPORT, run.import_products())
    await run.guarded(Step.RECEIVE, run.receive_stock())
    placing = clock()
    await run.guarded(Step.PLACE, run.place_orders())
    placed = clock()
    await run.guarded(Step.WRITE_OFF, run.write_off())
    return run.outcome(seconds=clock() - began, placing_seconds=placed - placing)


class _Run:
    def __init__(self, client: AsyncBackroom, dataset: Dataset, progress: Progress, sleep: Sleep) -> None:
        self._client = client
        self._dataset = dataset
        self._progress = progress
        self._sleep = sleep
        self._tally = Tally()
        self._refused: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], str] = {}
        self._written_off: list[WriteOff] = []

    async def guarded(self, step: Step, work: Awaitable[None]) -> None:
        """Turns what ends the replay into one line that names the step."""
        try:
            await work
        except grpc.aio.AioRpcError as error:
            refusal = refusal_of(error)
            said = f"{refusal.reason}: {refusal.message}" if refusal else error.details() or "no answer"
            raise ReplayFailed(f"not all {step.value}: {error.code().name}: {said}") from error
        except UnexpectedAnswer as error:
            raise ReplayFailed(f"not all {step.value}: {error}") from error

    async def import_products(self) -> None:
        requests = list(plan.imports(self._dataset))
        self._progress.begin(Step.IMPORT, len(requests))
        await self._patiently(lambda: self._client.catalog.ImportProducts(iter(requests)))
        self._progress.advance(len(requests))

    async def receive_stock(self) -> None:
        requests = list(plan.receipts(self._dataset))
        self._progress.begin(Step.RECEIVE, len(requests))

        async def receive(request: AdjustStockRequest) -> None:
            await self._adjust(f"stock of {request.sku}", "stock", request)

        await self._concurrently(receive, requests)

    async def write_off(self) -> None:
        self._progress.begin(Step.WRITE_OFF, len(self._dataset.write_offs))

        async def book(lost: WriteOff) -> None:
            which = f"write-off of {lost.sku} in {lost.invoice}"
            if await self._adjust(which, "write-off", plan.write_off_request(lost)):
                self._written_off.append(lost)

        await self._concurrently(book, self._dataset.write_offs)

    async def place_orders(self) -> None:
        """Places the orders, and once more those that the server was too busy for."""
        orders: Sequence[Order] = self._dataset.orders
        self._progress.begin(Step.PLACE, len(orders))
        for delay in (*DELAYS[::2], None):
            orders = await self._place(orders, again=delay is not None)
            if not orders or delay is None:
                return
            await self._sleep(delay)

    async def _place(self, orders: Sequence[Order], *, again: bool) -> Sequence[Order]:
        """Places orders; returns those that were refused for the moment only, where they are to be tried again."""
        postponed: list[Order] = []
        async with aclosing(self._answers(orders)) as answers:
            async for order, response in answers:
                refusal = refusal_from(response.refusal) if response.WhichOneof("outcome") == "refusal" else None
                if again and refusal is not None and refusal.retry_delay is not None:
                    postponed.append(order)
                    continue
                if refusal is not None:
                    self._refuse("order", f"order {order.invoice}", refusal)
                else:
                    self._tally.add(placed_lines(response.order))
                self._progress.advance()
        return postponed

    async def _answers(self, orders: Sequence[Order]) -> AsyncGenerator[tuple[Order, PlaceOrdersResponse], None]:
        """Yields each order with its answer, in their order.

        A stream that breaks is opened again and begins with the first order that was not answered: the server may
        have placed it, and knows it again by its request_id.
        """
        answered = 0
        delays = iter(DELAYS)
        while answered < len(orders):
            try:
                async with aclosing(self._stream(orders[answered:])) as responses:
                    async for order, response in responses:
                        yield order, response
                        answered += 1
                        delays = iter(DELAYS)
            except grpc.aio.AioRpcError as error:
                delay = next(delays, None)
                if delay is None or not _may_pass(error):
                    raise
                await self._sleep(delay)

    async def _stream(self, orders: Sequence[Order]) -> AsyncGenerator[tuple[Order, PlaceOrdersResponse], None]:
        """One PlaceOrders call, which never has more orders unanswered than it may."""
        room = asyncio.Semaphore(ORDERS_IN_FLIGHT)
        ended = False

        async def asks() -> AsyncIterator[PlaceOrdersRequest]:
            for order in orders:
                await room.acquire()
                if ended:
                    return
                yield PlaceOrdersRequest(order=plan.order_request(order))

        call = self._client.orders.PlaceOrders(asks())
        try:
            for order in orders:
                yield order, _answer_to(order, await call.read())
                room.release()
            if await call.read() is not grpc.aio.EOF:
                raise UnexpectedAnswer("there were more answers than orders")
        finally:
            # gRPC waits for the next ask even of a call that broke.
            ended = True
            room.release()
            call.cancel()

    async def _adjust(self, which: str, what: str, request: AdjustStockRequest) -> bool:
        """Whether the stock was changed; where it was refused, that is counted."""
        try:
            await self._patiently(lambda: self._client.inventory.AdjustStock(request))
        except grpc.aio.AioRpcError as error:
            refusal = refusal_of(error)
            if refusal is None or refusal.code not in _OF_THE_CHANGE:
                raise
            self._refuse(what, which, refusal)
            return False
        finally:
            self._progress.advance()
        return True

    async def _concurrently(self, act: Callable[[Item], Awaitable[None]], items: Iterable[Item]) -> None:
        """Acts on all items, on a bounded number at once; the first failure ends the others and rises."""
        waiting = iter(items)

        async def work() -> None:
            for item in waiting:
                await act(item)

        workers = [asyncio.ensure_future(work()) for _ in range(ADJUSTMENTS_IN_FLIGHT)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _patiently(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Makes a call that is safe to repeat, and repeats it while the server is away or busy."""
        for delay in DELAYS:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if not _may_pass(error):
                    raise
            await self._sleep(delay)
        return await call()

    def _refuse(self, what: str, which: str, refusal: Refusal) -> None:
        reason = refusal.reason or refusal.code.name
        self._refused[what, reason] += 1
        self._examples.setdefault((what, reason), f"{which}: {refusal.message}")

    def outcome(self, *, seconds: float, placing_seconds: float) -> Outcome:
        return Outcome(
            figures=self._tally.figures(),
            expected=expected(self._dataset.orders),
            refusals=tuple(
                Refusals(what, reason, count, self._examples[what, reason])
                for (what, reason), count in self._refused.items()
            ),
            write_offs=len(self._written_off),
            written_off_units=sum(lost.quantity for lost in self._written_off),
            not_replayed=self._dataset.not_replayed,
            seconds=seconds,
            placing_seconds=placing_seconds,
        )


def _answer_to(order: Order, response: object) -> PlaceOrdersResponse:
    if not isinstance(response, PlaceOrdersResponse) or response.request_id != plan.order_request_id(order):
        raise UnexpectedAnswer(f"order {order.invoice} was not answered")
    return response


def _may_pass(error: grpc.aio.AioRpcError) -> bool:
    """Whether the same call may be answered better in a moment."""
    refusal = refusal_of(error)
    if refusal is None:
        # gRPC itself says INTERNAL where a message was being written to a stream that just broke.
        return error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL}
    return refusal.code is grpc.StatusCode.UNAVAILABLE or refusal.retry_delay is not None
