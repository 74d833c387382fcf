"""Helpers to observe replays."""

from collections.abc import Mapping

import psycopg
from sqlalchemy import make_url

from replay.calling import Step
from storage.schema import METADATA


class Steps:
    """The progress of each step."""

    def __init__(self) -> None:
        self.done: dict[Step, tuple[int, int]] = {}
        self._step = Step.IMPORT

    def begin(self, step: Step, total: int) -> None:
        self._step = step
        self.done[step] = (0, total)

    def advance(self, count: int = 1) -> None:
        done, total = self.done[self._step]
        self.done[self._step] = (done + count, total)


def row_counts(database_url: str) -> Mapping[str, int]:
    """How many rows each table has, except the audit tables, which grow by themselves."""
    counts = {}
    with psycopg.connect(make_url(database_url).render_as_string(hide_password=False)) as connection:
        for name in METADATA.tables:
            if name.startswith("frame.audit_"):
                continue
            own = " WHERE type <> 'audit.anchored'" if name == "frame.events" else ""
            row = connection.execute(f"SELECT count(*) FROM {name}{own}".encode()).fetchone()
            assert row is not None
            counts[name] = row[0]
    return counts
