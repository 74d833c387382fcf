"""Calls Health/Check repeatedly, until it is stopped, and prints how long each call took."""

import json
import sys
import threading
from contextlib import suppress
from time import perf_counter, sleep
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_PAUSE_SECONDS = 0.01
_TIMEOUT_SECONDS = 30


def main(address: str) -> None:
    stop = threading.Event()
    with grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        check = stub.Check
        request = health_pb2.HealthCheckRequest(service="liveness")
        for _ in range(20):
            check(request, timeout=_TIMEOUT_SECONDS)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        threading.Thread(target=_until_told, args=(stop,), daemon=True).start()
        took = []
        while not stop.is_set():
            began = perf_counter()
            with suppress(grpc.RpcError):  # an unanswered probe has waited too
                check(request, timeout=_TIMEOUT_SECONDS)
            took.append(perf_counter() - began)
            sleep(_PAUSE_SECONDS)
    sys.stdout.write(json.dumps(took))


def _until_told(stop: threading.Event) -> None:
    sys.stdin.readline()
    stop.set()


if __name__ == "__main__":
    main(sys.argv[1])
