import math
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.cpu import cpu_of
from load.sample import Sample


def sample(*latencies: float, cost: float = 0.0) -> Sample:
    return Sample(2.0, sorted(latencies), (), 0, {}, {"server": cost})


def test_the_rate_counts_only_answered_calls() -> None:
    """Refused and failed calls are no work done."""
    seen = Sample(2.0, [0.1, 0.2, 0.3], [0.1], 1, {"not sent": 5}, {})
    assert seen.rate == 1.5


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 1))
def test_a_percentile_is_the_smallest_latency_that_this_share_did_not_exceed(taken: list[float], share: float) -> None:
    """It is one of the measured values."""
    found = sample(*taken).percentile(share)
    assert found in taken
    assert sum(latency <= found for latency in taken) >= share * len(taken) - 1e-9
    assert sum(latency < found for latency in taken) < max(share * len(taken), 1) + 1e-9


def test_the_cost_is_per_answered_call() -> None:
    """The cost of unanswered calls is included."""
    assert sample(0.1, 0.2, cost=0.5).cost_of("server") == 0.25


def test_without_calls_nothing_is_known() -> None:
    """Neither a latency nor a cost is made up."""
    assert math.isnan(sample().percentile(0.5))
    assert math.isnan(sample().cost_of("server"))
    assert sample().rate == 0


def test_the_cpu_of_a_process_grows_as_it_works_and_stays_when_it_has_ended() -> None:
    """With all its threads; a process that ended keeps its last reading."""
    count = "threading.Thread(target=lambda: sum(range(9_000_000))).start()"
    work = f"import threading, time; print(flush=True); {count}; {count}; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", work], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        meter = cpu_of(process.pid)
        ends = time.monotonic() + 20
        while meter() < 0.05:
            assert time.monotonic() < ends
            time.sleep(0.01)
        spent = meter()
        process.kill()
        process.wait()
        assert meter() >= spent


def test_the_cpu_of_processes_is_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with spaces and parentheses in it does not shift the fields."""
    ticks = os.sysconf("SC_CLK_TCK")
    stats = {
        "/proc/1/stat": f"1 (a) b) (c) S 0 1 1 0 -1 4194560 1 2 3 4 {2 * ticks} {ticks} 0 0 20 0",
        "/proc/2/stat": f"2 (python) S 0 1 1 0 -1 4194560 1 2 3 4 {ticks} 0 0 0 20 0",
    }
    monkeypatch.setattr("pathlib.Path.read_text", lambda path: stats[str(path)])
    assert cpu_of(1, 2)() == 4.0
