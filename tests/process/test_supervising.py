"""The parts of a supervisor of workers."""

import asyncio
import socket
from contextlib import closing

import pytest

from server.process.failure import Failure
from server.process.ports import reserved_ports
from server.process.workers.channel import WorkerChannel
from server.process.workers.supervisor import RestartPolicy
from server.settings import Settings, settings_of


def at(grpc: str = "127.0.0.1:0", http: str = "127.0.0.1:0") -> Settings:
    return settings_of({"BACKROOM_GRPC_ADDRESS": grpc, "BACKROOM_HTTP_ADDRESS": http})


def bound(port: int, *, shares: bool) -> socket.socket:
    """A socket on this port, shared or not."""
    other = socket.socket()
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shares))
    try:
        other.bind(("127.0.0.1", port))
    except OSError:
        other.close()
        raise
    return other


def test_a_reserved_port_is_only_for_sharers() -> None:
    """Before any process listens: an unrelated server is refused, and so is another supervisor."""
    with reserved_ports(at()) as ports:
        assert 0 not in (ports.grpc.port, ports.http.port)
        with pytest.raises(OSError, match="in use"):
            bound(ports.grpc.port, shares=False)
        for taken in (at(grpc=str(ports.grpc)), at(http=str(ports.http))):
            with pytest.raises(Failure), reserved_ports(taken):
                pass
        with closing(bound(ports.grpc.port, shares=True)) as worker:
            worker.listen()
            with pytest.raises(Failure), reserved_ports(at(grpc=str(ports.grpc))):
                pass


@pytest.mark.parametrize("shared", [True, False], ids=["by several", "by one"])
def test_a_port_is_free_again_once_a_server_has_ended(shared: bool) -> None:
    """Although its closed connections linger in the system."""
    with reserved_ports(at()) as ports:
        port = ports.grpc.port
    with closing(bound(port, shares=shared)) as server:
        server.listen()
        with socket.create_connection(("127.0.0.1", port)) as caller:
            server.accept()[0].close()
            caller.recv(1)
    with reserved_ports(at(grpc=f"127.0.0.1:{port}")) as again:
        assert again.grpc.port == port


def test_a_name_is_reserved_at_each_of_its_addresses() -> None:
    """With one port for all, which the system has chosen."""
    with reserved_ports(at(grpc="localhost:0")) as ports, pytest.raises(OSError, match="in use"):
        bound(ports.grpc.port, shares=False)


def test_a_worker_is_restarted_with_growing_delays() -> None:
    """At most half a minute; one that served for long is restarted immediately."""
    restarts = RestartPolicy()
    assert [restarts.pause(1.0) for _ in range(10)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]
    assert restarts.pause(3600.0) == 0.2


def test_a_worker_that_never_serves_is_given_up() -> None:
    """After five times in a row; one that served in between may be restarted again."""
    restarts = RestartPolicy()
    assert None not in [restarts.pause(each) for each in (None, None, None, None, 0.1, None, None, None, None)]
    assert restarts.pause(None) is None


async def test_both_ends_of_a_channel_can_request_and_respond_at_once() -> None:
    """An end responds while it waits for a response itself; an end that is gone is an error, and closes the channel."""
    one, two = [await WorkerChannel.open(end) for end in socket.socketpair()]

    async def twice(text: str) -> str:
        return f"{await two.request('once', text)} {text}"

    async def once(text: str) -> str:
        return text.upper()

    two.answer("twice", twice)
    one.answer("once", once)
    talking = [asyncio.create_task(each.run()) for each in (one, two)]
    short, long = await asyncio.gather(one.request("twice", "a\nb"), one.request("twice", "ü" * 100_000))
    assert short == "A\nB a\nb"
    assert long == f"{'Ü' * 100_000} {'ü' * 100_000}"

    async def hang_up(_: str) -> str:
        talking[1].cancel()
        return await asyncio.Event().wait() and ""

    two.answer("last", hang_up)
    with pytest.raises(ConnectionError):
        await one.request("last")
    with pytest.raises(ConnectionError):
        await one.request("twice", "c")
    await asyncio.wait_for(talking[0], 60)
