"""The replay: products, stock, orders, payments, write-offs and returns, one after the other."""

import asyncio
import time
from decimal import Decimal

from backroom_client import AsyncBackroom
from replay.calling import Calls, Clock, Progress, Sleep, Step, guarded
from replay.dataset import Dataset
from replay.figures import Outcome, expected, paid
from replay.paying import Paying
from replay.placing import Placing
from replay.returning import Returning
from replay.returns import match
from replay.stocking import Stocking


async def replay(
    client: AsyncBackroom,
    dataset: Dataset,
    progress: Progress,
    *,
    clock: Clock = time.monotonic,
    sleep: Sleep = asyncio.sleep,
) -> Outcome:
    """Replays a selection; a second replay of the same rows changes nothing and ends with the same figures.

    A refused change is counted, with its reason, and the replay continues.
    Without a payment provider, nothing is paid, and no return is booked.
    Raises ReplayFailed if it cannot continue: the server stays unavailable, denies permission, or runs no jobs.
    """
    calls = Calls(progress, sleep, clock)
    stocking, placing = Stocking(client, calls), Placing(client, calls)
    matching = match(dataset.orders, dataset.returns)
    began = clock()
    await guarded(Step.IMPORT, stocking.import_products(dataset))
    await guarded(Step.RECEIVE, stocking.receive(dataset))
    placing_began = clock()
    placed = await guarded(Step.PLACE, placing.place(dataset.orders))
    placing_ended = clock()
    payments = await guarded(Step.PAY, Paying(client, calls).pay(placed))
    written_off = await guarded(Step.WRITE_OFF, stocking.write_off(dataset.write_offs))
    paid_back = Decimal(0)
    if payments is not None:
        returning = Returning(client, calls)
        paid_back = await guarded(Step.RETURN, returning.book(list(matching.goods_back()), payments))
    return Outcome(
        figures=placing.figures,
        expected=expected(dataset.orders),
        paid=None if payments is None else paid(payments.values()),
        matching=matching,
        paid_back=paid_back,
        refusals=tuple(calls.refusals),
        write_offs=len(written_off),
        written_off_units=sum(lost.quantity for lost in written_off),
        not_replayed=dataset.not_replayed,
        seconds=clock() - began,
        placing_seconds=placing_ended - placing_began,
    )
