"""The faults: what each does while the callers continue."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.failover.plain import PlainClient
from tests.failover.waiting import comes_true, now
from tests.failover.world import Shape, World

_NOTICED_WITHIN_SECONDS = 6.0
_HANGS_SECONDS = 25.0
"""The longest time that a primary hangs, if writes do not succeed without it."""
_AWAKE_SECONDS = 1.5
"""How long a resumed primary runs next to the new one, until an operator notices."""
_WAITING_SECONDS = 0.8
"""By then all callers' commits wait for the unreachable standby."""
_REPEATED_SECONDS = 1.5
_FULL_SECONDS = 4.0
_FOUND_AGAIN_SECONDS = 2.0


class NotPlayed(Exception):
    """This machine does not support this fault; the text says why."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault, and the limits that its rounds must meet."""

    name: str
    act: Callable[[World], Awaitable[None]]
    shape: Shape = Shape()  # noqa: RUF009 - it is frozen
    crowd: bool = True
    """Whether the usual callers run; otherwise the fault has callers of its own."""
    gap_seconds: float | None = None
    """How soon each server must acknowledge orders again; None without a guarantee."""
    ready_seconds: float | None = None
    """How soon readiness must turn red, and green again."""
    lines: int | None = None
    """How many lines above INFO each server may log, none of which may be a library's."""
    watched: bool = False
    """Whether the late watcher receives the fault's changes, until the fault itself stops it."""
    short: bool = False
    """Whether a short run includes it, as one of the most revealing."""


async def server_killed(world: World) -> None:
    await world.servers[0].kill()
    await asyncio.sleep(0.5)
    await world.servers[0].start()
    world.back()


async def worker_killed(world: World) -> None:
    await world.workers[0].kill()
    await asyncio.sleep(0.5)
    await world.workers[0].start()


async def postgres_killed(world: World) -> None:
    await asyncio.to_thread(world.cluster.primary.crash)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(world.cluster.primary.start)
    world.back()


async def primary_dead(world: World) -> None:
    """The standby is promoted once every server has noticed, or should have."""
    await asyncio.to_thread(world.cluster.primary.crash)
    await noticed(world)
    await world.cluster.promote()
    world.back()


async def primary_hung(world: World) -> None:
    """It resumes when writes succeed again, next to the new primary, and is then rewound."""
    hung = world.cluster.primary
    await asyncio.to_thread(hung.freeze)
    await noticed(world)
    await world.cluster.promote()
    world.back()
    await world.writes(_HANGS_SECONDS)
    await asyncio.to_thread(hung.resume)
    await asyncio.sleep(_AWAKE_SECONDS)


async def primary_out_of_reach(world: World) -> None:
    """Nothing gets through to or from it, without an error; it keeps running next to the new primary."""
    proxy = world.proxies[world.cluster.nodes.index(world.cluster.primary)]
    proxy.part()
    await noticed(world)
    await world.cluster.promote()
    world.back()
    await world.writes(_HANGS_SECONDS)
    proxy.join()
    await asyncio.sleep(_AWAKE_SECONDS)


async def terminated_then_repeated(world: World) -> None:
    """Commits that no standby has are terminated, their callers repeat, and then the standby is promoted."""
    world.cluster.link.part()
    await asyncio.sleep(_WAITING_SECONDS)
    for _ in range(5):
        await asyncio.to_thread(world.cluster.primary.terminate_clients, waiting_alone=True)
        await asyncio.sleep(_REPEATED_SECONDS / 5)
    await asyncio.sleep(_REPEATED_SECONDS)
    await world.late.stop()
    await asyncio.to_thread(world.cluster.primary.crash)
    await world.cluster.promote()
    world.back()


async def crashed_then_repeated(world: World) -> None:
    """The same, but the primary itself crashes and restarts before it is given up."""
    world.cluster.link.part()
    await asyncio.sleep(_WAITING_SECONDS)
    await asyncio.to_thread(world.cluster.primary.crash)
    await asyncio.to_thread(world.cluster.primary.start)
    await asyncio.sleep(2 * _REPEATED_SECONDS)
    await world.late.stop()
    await asyncio.to_thread(world.cluster.primary.crash)
    await world.cluster.promote()
    world.back()


async def standby_frozen(world: World) -> None:
    await asyncio.to_thread(world.cluster.standby.freeze)
    await asyncio.sleep(3)
    await asyncio.to_thread(world.cluster.standby.resume)
    world.back()


async def disk_full(world: World) -> None:
    """The primary's disk; an operator frees space again, and restarts the primary if it has stopped."""
    primary = world.cluster.primary
    if world.cluster.disk is None:
        raise NotPlayed("a full disk is made by mount, which root alone may use, and not in every container")
    await asyncio.to_thread(world.cluster.disk.fill)
    await asyncio.sleep(_FULL_SECONDS)
    await asyncio.to_thread(world.cluster.disk.make_room)
    if not primary.runs:
        await asyncio.to_thread(primary.crash)
        await asyncio.to_thread(primary.start)
    world.back()


async def terminated_all(world: World) -> None:
    """All connections are ended repeatedly."""
    for _ in range(15):
        await asyncio.to_thread(world.cluster.primary.terminate_clients)
        await asyncio.sleep(0.2)
    world.back()


async def connections_vanish(world: World) -> None:
    """Everything sent on existing connections is dropped; new ones work."""
    world.proxies[world.cluster.nodes.index(world.cluster.primary)].vanish()
    world.back()
    await world.writes(_HANGS_SECONDS)


async def rolling_restarts(world: World) -> None:
    """Each server is stopped and started again in turn, while a plain client keeps calling."""
    async with PlainClient([server.address for server in world.servers], world.key, world.book) as client:
        await asyncio.sleep(_FOUND_AGAIN_SECONDS)
        for server in world.servers:
            await server.stop()
            stopped = now()
            await server.start()
            # Clients reconnect to a server at growing intervals, no longer than it was down: the time in which it
            # drained does not count, since it still answered then.
            await asyncio.sleep(now() - stopped + _FOUND_AGAIN_SECONDS)
    world.failed_calls += client.failed


async def noticed(world: World) -> None:
    """Returns once every server reports that it is not ready, or should have."""
    await comes_true(lambda: not any(each.ready for each in world.readiness), _NOTICED_WITHIN_SECONDS)


FAULTS: Sequence[Fault] = (
    Fault("a server killed", server_killed),
    Fault("a worker killed", worker_killed, Shape(workers=2)),
    Fault("PostgreSQL killed and started again", postgres_killed),
    Fault("primary dead, standby promoted", primary_dead, gap_seconds=3.0, ready_seconds=5.0, lines=6, short=True),
    Fault(
        "primary dead, standby promoted; --workers 2",
        primary_dead,
        Shape(processes=2),
        gap_seconds=3.0,
        ready_seconds=5.0,
        lines=6,
    ),
    Fault("primary hung, standby promoted", primary_hung, gap_seconds=10.0, ready_seconds=5.0, lines=6, short=True),
    Fault(
        "primary out of reach, standby promoted",
        primary_out_of_reach,
        Shape(proxied=True),
        gap_seconds=10.0,
        ready_seconds=5.0,
        lines=6,
    ),
    Fault("terminated, repeated, standby promoted", terminated_then_repeated, watched=True, short=True),
    Fault("crashed, repeated, standby promoted", crashed_then_repeated, watched=True),
    Fault("standby frozen for 3 s", standby_frozen),
    Fault("primary's disk full for 4 s", disk_full),
    Fault("connections terminated for 3 s", terminated_all),
    Fault("connections vanish", connections_vanish, Shape(proxied=True), gap_seconds=10.0),
    Fault("rolling restarts, plain client", rolling_restarts, crowd=False, short=True),
)
