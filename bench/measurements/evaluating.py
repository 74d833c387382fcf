"""Flags, evaluated for a crowd: beside the usual stack and the bare echo, and with few flags and with many."""

from bench.measurements.flag_sides import echoed_flags, our_flags, usual_flags
from bench.measurements.sides import CALLERS, calling
from bench.rounds import Side, load_share, pairs, rate, rounds, server_cpu
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
        few = calling(bench, "Backroom", ours.evaluate, ours.pid)
        many = calling(bench, f"Backroom with {_MANY:,} flags", ours_many.evaluate, ours_many.pid)
        stack = calling(bench, "the usual stack, with flagd's library in its process", usual.evaluate, usual.pid)
        bare = calling(bench, "the bare gRPC echo", echo.evaluate, echo.pid)
        await rounds(bench, few, many, stack, bare)
    return _rows(few, many, stack, bare)


def _rows(few: Side[Sample], many: Side[Sample], usual: Side[Sample], echo: Side[Sample]) -> list[Row]:
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
        row(with_many, "calls/s", pairs(many, few, rate), against=with_few, goal=None),
        *(
            row(
                f"{_MEASURED}: {what}",
                unit,
                pairs(few, other, figure),
                against=other.name,
                goal=None,
                lower_is_better=True,
            )
            for what, unit, figure in (
                ("server CPU of a call", "ms", server_cpu),
                ("the load generator's share of a core", "%", load_share),
            )
            for other in (usual, echo)
        ),
    ]
