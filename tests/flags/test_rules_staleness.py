"""Which flags may be removed, and since when."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from server.flags.rules.staleness import StaleReason, stale
from storage.flags.records import Flag, Usage
from tests.flags.values import NOW, flag

DAY = timedelta(days=1)
TODAY = datetime(NOW.year, NOW.month, NOW.day, tzinfo=NOW.tzinfo)
OLD: dict[str, Any] = {"create_time": NOW - 90 * DAY, "update_time": NOW - 60 * DAY}


def used(days_ago: int, *variants: str) -> Usage:
    return Usage("f", TODAY - days_ago * DAY, variants)


@pytest.mark.parametrize(
    ("one", "usage", "reason", "since"),
    [
        (flag("f", **OLD), used(0, "on", "off"), None, None),
        (flag("f", **OLD), used(13, "on", "off"), None, None),
        (flag("f", **OLD), used(20, "on", "off"), StaleReason.NOT_SERVED, TODAY - 19 * DAY),
        (flag("f", **OLD), None, StaleReason.NOT_SERVED, OLD["create_time"]),
        (flag("f"), None, None, None),
        (flag("f", create_time=NOW - 90 * DAY, update_time=NOW - 2 * DAY), None, None, None),
        (flag("f", **OLD), used(0, "on"), StaleReason.SETTLED, OLD["update_time"]),
        (flag("f", **OLD), used(0, ""), None, None),
        (flag("f", create_time=NOW - 90 * DAY, update_time=NOW - 20 * DAY), used(0, "on"), None, None),
        (flag("f", expire_time=NOW), used(0, "on", "off"), StaleReason.EXPIRED, NOW),
        (flag("f", expire_time=NOW + DAY), used(0, "on", "off"), None, None),
    ],
)
def test_a_flag_is_stale_for_a_reason(
    one: Flag, usage: Usage | None, reason: StaleReason | None, since: datetime | None
) -> None:
    """Not served, always the same variant, or expired; a change starts both periods again."""
    found = stale(one, usage, NOW, unserved=14 * DAY, settled=28 * DAY)
    assert (found and found.reason, found and found.since) == (reason, since)
    assert (found.variant if found else "") == ("on" if reason is StaleReason.SETTLED else "")
