"""bookings' work behind the answers."""

from collections.abc import Sequence

from server.bookings.service import Changing, FollowingZones
from server.bookings.service.following import FOLLOW_ZONES
from server.bookings.service.placing import EXPIRE
from server.frame.jobs import Task


def tasks(changing: Changing, zones: FollowingZones) -> Sequence[Task]:
    async def expire() -> None:
        await changing.expire_due()

    async def follow_zones() -> None:
        await zones.follow()

    return (
        # A time that nobody confirms is free again within seconds of its lease's end.
        Task(EXPIRE, expire, every="* * * * * *"),
        Task(FOLLOW_ZONES, follow_zones, every="37 3 * * * 20"),
    )
