"""Calls Health/Check again and again, for each server that it is told of, and prints what each call waited for.

It is told by a line with the server's address and process, and by another one to stop. What it prints then is a line of
a JSON list, a pair for each call: its seconds by the clock, and the CPU seconds that the server used meanwhile.
"""

import json
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from os import sysconf
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_PAUSE_SECONDS = 0.01
_TIMEOUT_SECONDS = 30
_TICKS_A_SECOND = sysconf("SC_CLK_TCK")
_OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


def main() -> None:
    for line in sys.stdin:
        address, pid = line.split()
        _say(json.dumps(_waits(address, int(pid))))


def _waits(address: str, pid: int) -> Sequence[tuple[float, float]]:
    stop = threading.Event()
    with grpc.insecure_channel(address, options=_OWN_CONNECTION) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        check = stub.Check
        request = health_pb2.HealthCheckRequest(service="liveness")
        for _ in range(20):
            check(request, timeout=_TIMEOUT_SECONDS)
        _say("ready")
        stopping = threading.Thread(target=_wait_for_stop, args=(stop,), daemon=True)
        stopping.start()
        waits = []
        while not stop.is_set():
            began, used = perf_counter(), cpu_seconds(pid)
            with suppress(grpc.RpcError):  # a call without an answer has waited too
                check(request, timeout=_TIMEOUT_SECONDS)
            waits.append((perf_counter() - began, cpu_seconds(pid) - used))
            sleep(_PAUSE_SECONDS)
        stopping.join()
    return waits


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def cpu_seconds(pid: int) -> float:
    """All that a process has used so far, in steps of a tick (10 ms)."""
    # The name, which stands in parentheses before these fields, may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def _wait_for_stop(stop: threading.Event) -> None:
    sys.stdin.readline()
    stop.set()


if __name__ == "__main__":
    main()
