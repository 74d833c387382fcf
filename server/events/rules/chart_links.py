"""What a link to a chart permits."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from server.events.rules.asking import Period

MAY_QUERY = "events.query"
"""The permission of the account behind a link."""
VALID_DAYS = 366
"""For how long a link holds good that does not say otherwise."""
MAX_CHARACTERS = 2_000
"""Of a link."""


class ChartKind(StrEnum):
    """What is drawn."""

    TIME_SERIES = "s"
    METER = "m"


@dataclass(frozen=True, slots=True)
class ChartLink:
    """What a link permits: to see the answer to one question as it is then."""

    kind: ChartKind
    query: str
    """The request that asks it, in base64url."""
    title: str
    account_id: UUID
    """By whose rights it is asked, as they are then."""
    until: int
    """In seconds since 1970."""
    follows: bool
    """Whether the period ends when it is asked."""


def holds_good(link: ChartLink, permissions: frozenset[str] | None, now: datetime) -> bool:
    """Whether a link may be used, by what its account may do now; None where that is disabled or gone."""
    return permissions is not None and MAY_QUERY in permissions and now.timestamp() < link.until


def moved(period: Period, now: datetime) -> Period:
    """The period, as long as it is, with its end now."""
    length: timedelta = period.end - period.start
    return Period(now - length, now, period.granularity, period.time_zone)
