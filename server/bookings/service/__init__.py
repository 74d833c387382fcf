"""The use cases of bookings; each public method is one transaction."""

from server.bookings.service.availability import Availability
from server.bookings.service.bookings import Bookings
from server.bookings.service.calendars import Calendars
from server.bookings.service.changing import Changing
from server.bookings.service.following import FollowingZones
from server.bookings.service.making import Making
from server.bookings.service.resources import Resources

__all__ = ["Availability", "Bookings", "Calendars", "Changing", "FollowingZones", "Making", "Resources"]
