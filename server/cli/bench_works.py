"""What `backroom bench` can measure, by name."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import process_time
from typing import TypeAlias

from load.loops import Call, closed_loop, open_loop
from load.sample import Sample
from load.shop import PAGE, Shop
from server.process.failure import Failure

LOAD = "load"
"""The meter of this process, which makes the calls."""

DEEP = 20
"""The later page that is listed."""

READABLE = DEEP * PAGE
"""How many orders there must be for the works that read them."""

_IN_FLIGHT = 4
"""For each caller: a stream is there for having many orders on the way."""


@dataclass(frozen=True, slots=True)
class Load:
    """How the works are called."""

    callers: int
    seconds: float
    rate: float | None = None
    """Calls a second by a timetable; None means as fast as the callers get answers."""

    @property
    def warm_up(self) -> float:
        return min(1.0, self.seconds)


Work: TypeAlias = Callable[[Shop, Load], Awaitable[Sample]]


async def _place_stream(shop: Shop, load: Load) -> Sample:
    # Where calls begin by a timetable is of no matter to a stream, which slows its sender down.
    return await shop.stream_orders(
        load.seconds, in_flight=_IN_FLIGHT * load.callers, warm_up=load.warm_up, meters={LOAD: process_time}
    )


async def _list_deep(shop: Shop, load: Load) -> Sample:
    return await _measured(await shop.list_orders_on(DEEP), load)


def _called(call: Callable[[Shop], Call]) -> Work:
    async def work(shop: Shop, load: Load) -> Sample:
        return await _measured(call(shop), load)

    return work


async def _measured(call: Call, load: Load) -> Sample:
    meters = {LOAD: process_time}
    if load.rate is not None:
        return await open_loop(call, rate=load.rate, seconds=load.seconds, warm_up=load.warm_up, meters=meters)
    return await closed_loop(call, callers=load.callers, seconds=load.seconds, warm_up=load.warm_up, meters=meters)


WORKS: Mapping[str, Work] = {
    "place-hot": _called(lambda shop: shop.place_hot),
    "place-two": _called(lambda shop: shop.place_two),
    "place-stream": _place_stream,
    "get-order": _called(lambda shop: shop.get_order),
    "get-product": _called(lambda shop: shop.get_product),
    "list-orders": _called(lambda shop: shop.list_orders),
    "list-deep": _list_deep,
}
"""In the order in which they are measured."""


def works_named(names: Sequence[str]) -> Mapping[str, Work]:
    """These works, or all where none is named; raises Failure for a name that is none."""
    for name in names:
        if name not in WORKS:
            raise Failure(f"there is no work {name!r}; the works are {', '.join(WORKS)}")
    return {name: work for name, work in WORKS.items() if not names or name in names}
