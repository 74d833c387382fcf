"""`backroom serve --workers`: several servers on one port, each in a process of its own."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from server import settings
from server.frame import log
from server.process.ports import Ports, reserved_ports
from server.process.start import check_startable, warnings
from server.process.workers.channel import Assignment
from server.process.workers.supervisor import Supervisor
from server.settings import Settings

if TYPE_CHECKING:
    from server.process.data_dir.own_sandbox import Sandbox

_STOP_SECONDS = 60.0
"""In seconds, in addition to the drain: longer than a server takes to finish calls, jobs and answers."""


class Announce(Protocol):
    """Says to a person, once, that all workers serve."""

    def __call__(self, configured: Settings, ports: tuple[int, int], *, made_admin: bool, by: str) -> None: ...


@dataclass(frozen=True, slots=True)
class _Local:
    """What there is once for all workers."""

    database_url: str
    sandbox: "Sandbox | None" = None
    password: str | None = None
    """Of an admin that was made."""


def supervise(count: int, print_welcome: Announce, *, with_worker: bool) -> None:
    """Serves by so many processes until it is stopped; with a worker, one more does the jobs."""
    configured = settings.read()
    check_startable(configured)
    log.configure(configured.log_level, configured.log_format)
    logger = structlog.get_logger()
    for warning in warnings(configured):
        logger.warning("insecure_setting", why=warning)
    with reserved_ports(configured) as ports, _local(configured) as local, asyncio.Runner() as runner:
        runner.run(_supervise(count, configured, ports, local, print_welcome, logger, with_worker=with_worker))


async def _supervise(
    count: int,
    configured: Settings,
    ports: Ports,
    local: _Local,
    print_welcome: Announce,
    logger: structlog.typing.FilteringBoundLogger,
    *,
    with_worker: bool,
) -> None:
    grpc_port, http_port = ports.grpc.port, ports.http.port

    async def on_serving() -> None:
        further_ports = {name: each.port for name, each in ports.further_grpc.items()}
        further = {"further_grpc_ports": further_ports} if further_ports else {}
        logger.info("serving", grpc_port=grpc_port, http_port=http_port, workers=count, **further)
        if local.sandbox is not None:
            from server.process.local_services import connect_sandbox

            await connect_sandbox(configured, local.sandbox, http_port)
        print_welcome(
            configured, (grpc_port, http_port), made_admin=local.password is not None, by=f" by {count} workers"
        )

    assignments = _assignments(count, ports, local, with_worker=with_worker)
    stopped_within = configured.drain_seconds + _STOP_SECONDS
    await Supervisor(assignments, logger, on_serving=on_serving, stopped_within=stopped_within).run()


def _assignments(count: int, ports: Ports, local: _Local, *, with_worker: bool) -> list[Assignment]:
    return [
        Assignment(
            number,
            number <= count,
            str(ports.grpc),
            str(ports.http),
            ports.http_socket.fileno(),
            ports.metrics_socket.fileno() if ports.metrics_socket else None,
            {name: str(address) for name, address in ports.further_grpc.items()},
            local.database_url,
            asdict(local.sandbox) if local.sandbox else None,
        )
        # One for the jobs is enough: they mostly wait. It is none of those that serve, so that what others answer to
        # webhooks keeps no call waiting.
        for number in range(1, count + 1 + with_worker)
    ]


@contextmanager
def _local(configured: Settings) -> Iterator[_Local]:
    """A database of one's own is taken as it is; the embedded one is started and made ready, with its sandbox."""
    if configured.database_url is not None:
        yield _Local(configured.database_url)
        return
    # Late: what all of this imports is several times as large as the supervisor without it.
    from server.process.data_dir.master_key import master_keys
    from server.process.local_services import local_services, prepare_once

    keys = master_keys(configured)
    with local_services(configured) as found:
        password = asyncio.run(prepare_once(configured, keys, found.url))
        yield _Local(found.url, found.sandbox, password)
