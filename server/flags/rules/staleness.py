"""Which flags may be removed: not served for days, always serving the same variant, or expired."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from storage.flags.records import Flag, Usage


class StaleReason(StrEnum):
    NOT_SERVED = "not_served"
    SETTLED = "settled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Stale:
    """Why a flag may be removed, and since when."""

    flag: Flag
    reason: StaleReason
    since: datetime
    variant: str = ""
    """The only variant served, if that is the reason."""


def stale(flag: Flag, usage: Usage | None, now: datetime, *, unserved: timedelta, settled: timedelta) -> Stale | None:
    """Why a flag may be removed; None where it is in use.

    `usage` is what was served of it since `settled` before now, in days of UTC; None where it was never served.
    Each change of a flag starts both periods again.
    """
    if flag.expire_time is not None and flag.expire_time <= now:
        return Stale(flag, StaleReason.EXPIRED, flag.expire_time)
    served = flag.create_time if usage is None else max(flag.create_time, usage.last_day + timedelta(days=1))
    if max(served, flag.update_time) <= now - unserved:
        return Stale(flag, StaleReason.NOT_SERVED, served)
    if usage is not None and len(usage.variants) == 1 and usage.variants[0] and flag.update_time <= now - settled:
        return Stale(flag, StaleReason.SETTLED, flag.update_time, usage.variants[0])
    return None
