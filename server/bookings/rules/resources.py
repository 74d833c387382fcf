from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.bookings.rules.asking import zone_named
from server.bookings.rules.hours import check_hours
from server.frame.editing import Edit, changed, check_etag
from storage.bookings.records import DayHours, Holiday, Resource, WeeklyPeriod

CAPACITY = 1
BOOKING_WINDOW_MINUTES = 366 * 24 * 60
SLOT_STEP_MINUTES = 15
"""What a resource has that does not say otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDraft:
    """A resource as a caller describes it."""

    name: str
    time_zone: str
    opening_hours: tuple[WeeklyPeriod, ...]
    exceptions: tuple[DayHours, ...]
    holidays: tuple[Holiday, ...]
    capacity: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    minimum_notice_minutes: int
    booking_window_minutes: int
    slot_step_minutes: int
    cancel_cutoff_minutes: int
    archived: bool

    def as_resource(self, resource_id: UUID, now: datetime) -> Resource:
        """Raises FieldInvalid where the hours of a day overlap, or the time zone is unknown."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return _checked(
            Resource(id=resource_id, number=0, version=1, create_time=now, update_time=now, choose_time=None, **values)
        )


def edited(resource: Resource, edit: Edit[UUID], now: datetime) -> Resource:
    """The resource with the new values; raises EtagMismatch, FieldInvalid."""
    check_etag(resource, edit)
    return _checked(changed(resource, edit.values, now))


def _checked(resource: Resource) -> Resource:
    zone_named(resource.time_zone, "resource.time_zone")
    check_hours(resource)
    return resource
