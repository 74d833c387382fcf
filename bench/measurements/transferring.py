"""Files: uploaded and downloaded one after the other, with all that makes them durable and checked.

What is sent or received over HTTP is compared with the usual stack, and what is over gRPC with the bare gRPC echo as
well, of which no more is asked than to take or send as many bytes.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.measurements.file_sides import (
    Contents,
    Transfer,
    Way,
    bare_echo,
    disk_alone,
    our_files,
    usual_files,
)
from bench.rounds import Side, rounds
from bench.row import Row, row
from bench.setting import Bench

_BYTES, _BYTES_IN_SHORT = 512 * 1024 * 1024, 128 * 1024 * 1024
_LEAST_OF_ECHO, _LEAST_OF_USUAL = 0.5, 2.0


async def transferring(bench: Bench) -> list[Row]:
    """What is downloaded is in memory on all sides: each file is downloaded once before."""
    size = _BYTES if bench.long else _BYTES_IN_SHORT
    folder = Path(tempfile.mkdtemp(prefix="backroom-bench-"))
    contents = Contents(size)
    try:
        async with (
            our_files(bench, contents, folder / "ours") as (ours, ours_grpc),
            usual_files(bench, contents, folder) as usual,
            bare_echo(contents) as echo,
        ):
            up = [_side(way) for way in (ours.upload, usual.upload, ours_grpc.upload, echo.upload)]
            disk = _side(disk_alone(contents, folder))
            await rounds(bench, *up, disk)
            down_ways = (ours.download, usual.download, ours_grpc.download, echo.download)
            for way in down_ways:
                await way.transfer()
            down = [_side(way) for way in down_ways]
            await rounds(bench, *down)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    mebibytes = f"{size >> 20} MiB"
    by_tus, usual_up, by_grpc, echo_up = up
    by_link, usual_down, grpc_down, echo_down = down
    return [
        *_rows(f"upload of {mebibytes} over HTTP (tus)", by_tus, usual_up, _LEAST_OF_USUAL),
        *_rows(f"upload of {mebibytes} over gRPC", by_grpc, usual_up, _LEAST_OF_USUAL),
        *_rows(f"upload of {mebibytes} over gRPC", by_grpc, echo_up, _LEAST_OF_ECHO),
        *_rows(f"upload of {mebibytes} over gRPC", by_grpc, disk, None)[:1],
        *_rows(f"download of {mebibytes} over HTTP (a signed link)", by_link, usual_down, _LEAST_OF_USUAL),
        *_rows(f"download of {mebibytes} over gRPC", grpc_down, echo_down, _LEAST_OF_ECHO),
        *_rows(f"download of {mebibytes} over gRPC, which is not for large files", grpc_down, usual_down, None),
    ]


def _side(way: Way) -> Side[Transfer]:
    return Side(way.name, way.measure)


def _rows(measured: str, ours: Side[Transfer], other: Side[Transfer], goal: float | None) -> list[Row]:
    """How fast it is, and what it costs the server."""
    cpu = f"{measured}: server CPU of a GB"
    return [
        row(measured, "MB/s", _pairs(ours, other, lambda each: each.megabytes_a_second), against=other.name, goal=goal),
        row(cpu, "s", _pairs(ours, other, lambda each: each.cpu), against=other.name, goal=None, lower_is_better=True),
    ]


def _pairs(
    ours: Side[Transfer], other: Side[Transfer], figure: Callable[[Transfer], float]
) -> Sequence[tuple[float, float]]:
    return [(figure(one), figure(peer)) for one, peer in zip(ours.figures, other.figures, strict=True)]
