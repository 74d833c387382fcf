"""What access and validation cost a call: see `bench.access_and_validation`, which can also be run alone."""

import re
from contextlib import redirect_stdout
from io import StringIO

from bench import access_and_validation
from bench.row import LIMIT, Row, row
from bench.setting import Bench

_LINE = re.compile(r"^(\S.*?) +both +([\d.]+) us +\(([\d.]+) to ([\d.]+)\)", re.MULTILINE)
"""Its output for a call with both: the median, and the outer tenths."""


async def accessing(bench: Bench) -> list[Row]:
    printed = StringIO()
    with redirect_stdout(printed):
        await access_and_validation.bench(bench.database("accessing"))
    limit = access_and_validation.GOAL
    return [
        row(
            f"Access and validation of {what}",
            "us CPU a call",
            [(float(figure), limit) for figure in figures],
            against=LIMIT,
            goal=1,
            lower_is_better=True,
        )
        for what, *figures in _LINE.findall(printed.getvalue())
    ]
