"""Flags, evaluated for a crowd: beside the usual stack and the bare echo, and with few flags and with many."""

from bench.measurements.flag_sides import echoed_flags, our_flags, usual_flags
from bench.measurements.sides import CALLERS, calling, cpu_rows
from bench.rounds import Side, pairs, rate, rounds, server_cpu
from bench.row import Row, row
from bench.setting import Bench
from load.sample import Sample

_FEW, _MANY = 10, 10_000
_MEASURED = f"ResolveBoolean, three rules, {CALLERS} callers"


async def evaluating(bench: Bench) -> list[Row]:
    async with (
        our_flags(bench, "evaluating", _FEW) as ours,
        our_flags(bench, "evaluating_many", _MANY) as ours_many,
        usual_flags(bench, "evaluating_usual", _FEW) as usual,
        echoed_flags(_FEW) as echo,
    ):
        assert ours.evaluate_at_main_port is not None  # noqa: S101 - every server of ours has it
        few = calling(bench, "Backroom", ours.evaluate, ours.pid)
        main = calling(bench, "Backroom's main port", ours.evaluate_at_main_port, ours.pid)
        many = calling(bench, f"Backroom with {_MANY:,} flags", ours_many.evaluate, ours_many.pid)
        stack = calling(bench, "the usual stack, with flagd's library in its process", usual.evaluate, usual.pid)
        bare = calling(bench, "the bare gRPC echo", echo.evaluate, echo.pid)
        await rounds(bench, few, main, many, stack, bare)
    return _rows(few, main, many, stack, bare)


def _rows(
    few: Side[Sample], main: Side[Sample], many: Side[Sample], usual: Side[Sample], echo: Side[Sample]
) -> list[Row]:
    with_many = f"{_MEASURED}, {_MANY:,} flags"
    with_few = f"{_FEW} flags"
    return [
        row(_MEASURED, "calls/s", pairs(few, usual, rate), against=usual.name, goal=1),
        row(_MEASURED, "calls/s", pairs(few, echo, rate), against=echo.name, goal=0.6),
        row(
            f"{with_many}: server CPU of a call",
            "ms",
            pairs(many, few, server_cpu),
            against=with_few,
            goal=1 / 1.1,
            lower_is_better=True,
        ),
        row(_MEASURED, "calls/s", pairs(few, main, rate), against=main.name, goal=None),
        row(with_many, "calls/s", pairs(many, few, rate), against=with_few, goal=None),
        *cpu_rows(_MEASURED, few, main, usual, echo),
    ]
