"""The metrics of several processes, added up."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from server.process.workers.merged_metrics import MetricsSnapshot, merged


def counted(*methods: str, under_way: int) -> MetricsSnapshot:
    """The metrics of a process that answered these methods, in half a second each."""
    registry = CollectorRegistry()
    calls = Counter("calls", 'How many "calls"\nwere answered', ("method",), registry=registry)
    seconds = Histogram("seconds", "How long", ("method",), registry=registry, buckets=(0.1, 1))
    Gauge("under_way", "Calls under way", registry=registry).set(under_way)
    for method in methods:
        calls.labels(method).inc()
        seconds.labels(method).observe(0.5)
    return MetricsSnapshot.parsed(generate_latest(registry).decode())


def samples(reading: MetricsSnapshot) -> dict[tuple[str, ...], float]:
    """As Prometheus reads them: by name and label values."""
    families = text_string_to_metric_families(str(reading))
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def test_counters_histograms_and_gauges_are_added() -> None:
    """Even if only one of the processes has a sample."""
    found = samples(merged([counted("Get", "Get", under_way=2), counted("Get", "Put", under_way=3)]))
    assert found["calls_total", "Get"] == 3
    assert found["calls_total", "Put"] == 1
    assert found["under_way",] == 5
    assert [found["seconds_bucket", le, "Get"] for le in ("0.1", "1.0", "+Inf")] == [0, 3, 3]
    assert (found["seconds_count", "Get"], found["seconds_sum", "Get"]) == (3, 1.5)


def test_the_sum_of_one_process_is_unchanged() -> None:
    """Whatever its labels and its help text contain."""
    odd = counted('a "b"', "c d", "e\\f\ng", "h\u2028i", under_way=1)
    assert samples(merged([odd])) == samples(odd)
    assert ("calls_total", "h\u2028i") in samples(odd)
    assert str(merged([odd])).count("# HELP calls_total ") == 1


def test_creation_times_are_not_added() -> None:
    """The earliest one counts."""
    readings = [counted("Get", under_way=0) for _ in range(3)]
    assert samples(merged(readings))["calls_created", "Get"] == samples(readings[0])["calls_created", "Get"]


def test_the_counts_of_an_ended_process_remain() -> None:
    """Its calls under way do not."""
    gone, lives = counted("Get", under_way=7), counted("Get", under_way=1)
    found = samples(merged([gone.lasting(), lives]))
    assert (found["calls_total", "Get"], found["under_way",]) == (2, 1)
    assert found["calls_created", "Get"] == samples(gone)["calls_created", "Get"]
