"""Calls Health/Check again and again until it is stopped, and prints what each call waited for.

That is a JSON list, a pair for each call: its seconds by the clock, and the CPU seconds that the server used meanwhile.
"""

import json
import sys
import threading
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


def main(address: str, pid: int) -> None:
    stop = threading.Event()
    with grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        check = stub.Check
        request = health_pb2.HealthCheckRequest(service="liveness")
        for _ in range(20):
            check(request, timeout=_TIMEOUT_SECONDS)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        threading.Thread(target=_wait_for_stop, args=(stop,), daemon=True).start()
        waits = []
        while not stop.is_set():
            began, used = perf_counter(), cpu_seconds(pid)
            with suppress(grpc.RpcError):  # a call without an answer has waited too
                check(request, timeout=_TIMEOUT_SECONDS)
            waits.append((perf_counter() - began, cpu_seconds(pid) - used))
            sleep(_PAUSE_SECONDS)
    sys.stdout.write(json.dumps(waits))


def cpu_seconds(pid: int) -> float:
    """All that a process has used so far, in steps of a tick (10 ms)."""
    # The name, which stands in parentheses before these fields, may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def _wait_for_stop(stop: threading.Event) -> None:
    sys.stdin.readline()
    stop.set()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
