"""Whose turn it is: how many of an endpoint's deliveries are attempted at once.

Many waiting deliveries of a few endpoints that hang must not take all the places there are, so that only those stand
in the queue of jobs whose turn it is; the others wait in the store.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from storage.webhooks.records import Endpoint, ScheduledDelivery

SLOTS = 3
"""How many at once for an endpoint that takes them: 100 endpoints that begin to hang take 300 of a worker's 400."""
FAILING_AT_ONCE = 100
"""How many at once for all endpoints together that have failed for a while, one for each of them."""
_FAILING_AFTER = timedelta(seconds=10)


def is_failing(endpoint: Endpoint, now: datetime) -> bool:
    """Whether an endpoint has failed for a while, as one that hangs has when its first attempt ends."""
    return endpoint.failing_since is not None and now - endpoint.failing_since >= _FAILING_AFTER


def next_deliveries(
    endpoints: Collection[Endpoint],
    due: Iterable[ScheduledDelivery],
    queued: Collection[ScheduledDelivery],
    now: datetime,
    lot: Callable[[], float],
) -> Sequence[ScheduledDelivery]:
    """The deliveries whose turn it is, of those that are due and not in the queue yet.

    Where there are more failing endpoints than places for them, the lot decides.
    """
    in_queue = set(queued)
    waiting: defaultdict[UUID, list[ScheduledDelivery]] = defaultdict(list)
    for scheduled in due:
        if scheduled not in in_queue:
            waiting[scheduled.endpoint_id].append(scheduled)
    load = Counter(scheduled.endpoint_id for scheduled in queued)
    failing = sorted((each for each in endpoints if is_failing(each, now)), key=lambda _: lot())
    room = max(0, FAILING_AT_ONCE - sum(load[each.id] for each in failing))
    first = [scheduled for each in failing if not load[each.id] for scheduled in waiting[each.id][:1]]
    healthy = (each for each in endpoints if not is_failing(each, now))
    return [
        *first[:room],
        *(scheduled for each in healthy for scheduled in waiting[each.id][: max(0, SLOTS - load[each.id])]),
    ]
