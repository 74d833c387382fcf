"""How the log reports a problem that occurs repeatedly."""

from typing import Any

import structlog

from server.frame.outages import Outage
from tests.fixtures.servers import keep_in


class Told:
    """An outage, its clock and its lines."""

    def __init__(self, **options: Any) -> None:
        self.lines: list[dict[str, Any]] = []
        self.now = 0.0
        logger = structlog.wrap_logger(None, [keep_in(self.lines)], structlog.make_filtering_bound_logger(0))
        self.outage = Outage(logger, "away", "back", elapsed=lambda: self.now, **options)

    def lasts(self, seconds: float, *, every: float = 0.5, **details: object) -> list[float]:
        """Reports it repeatedly for this long, and returns when lines were written."""
        written = []
        for _ in range(round(seconds / every)):
            count = len(self.lines)
            self.outage.record_failure(**details)
            written += [self.now] * (len(self.lines) - count)
            self.now += every
        return written


def test_the_interval_between_lines_grows_and_is_bounded() -> None:
    """Immediately, then after 10, 20, 40 seconds and so on, and at least once a minute, however often it occurs."""
    already_logged = Told()
    assert already_logged.lasts(300) == [0, 10, 30, 70, 130, 190, 250]
    assert "seconds" not in already_logged.lines[0]
    assert already_logged.lines[-1]["seconds"] == 250


def test_its_end_is_one_line_and_the_next_outage_begins_again() -> None:
    """It says how long it lasted; without an outage nothing is logged."""
    already_logged = Told()
    already_logged.outage.record_recovery()
    already_logged.lasts(12)
    already_logged.outage.record_recovery()
    already_logged.outage.record_recovery()
    assert already_logged.lasts(12) == [12, 22]
    assert [line["event"] for line in already_logged.lines] == ["away", "away", "back", "away", "away"]
    assert already_logged.lines[2]["seconds"] == 12


def test_other_details_are_logged_after_the_first_pause() -> None:
    """Though the pause has grown meanwhile; once each, as details that alternate are no news."""
    already_logged = Told()
    assert already_logged.lasts(5, why="a") == [0]
    assert already_logged.lasts(10, why="b") == [10]
    assert already_logged.lasts(5, why="a") == []
    assert already_logged.lasts(0.5, why="b") == [20]


def test_a_promotion_is_one_line() -> None:
    """What is wrong changes while the old primary goes and the new one comes, and it is over in 10 s."""
    already_logged = Told()
    for why in ("closed", "refused", "read-only"):
        already_logged.lasts(3, why=why)
    assert [line["why"] for line in already_logged.lines] == ["closed"]


def test_details_that_keep_changing_do_not_fill_the_log() -> None:
    """The first few are logged immediately, the others at the intervals."""
    already_logged = Told()
    for number in range(1000):
        already_logged.lasts(0.1, every=0.1, why=str(number))
    assert len(already_logged.lines) < 12


def test_a_short_outage_is_not_logged_within_its_grace_period() -> None:
    """A longer one is logged once the grace period is over."""
    already_logged = Told(grace_seconds=4)
    assert already_logged.lasts(3.5) == []
    already_logged.outage.record_recovery()
    assert already_logged.lasts(15) == [7.5, 17.5]


def test_an_outage_that_another_line_reports_is_not_logged_again() -> None:
    """Only once that line no longer reports it, and the outage lasts."""
    elsewhere = [True]
    already_logged = Told(already_logged=lambda: elsewhere[0])
    assert already_logged.lasts(10) == []
    elsewhere.clear()
    elsewhere.append(False)
    assert already_logged.lasts(1) == [10]
