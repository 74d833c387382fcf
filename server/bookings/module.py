"""bookings, put together."""

from datetime import timedelta

from server.bookings.permissions import PERMISSIONS
from server.bookings.rules.events import EVENT_TYPES
from server.bookings.settings import BookingsSettings
from server.frame.module import Manifest, Module, Service, Shared
from server.frame.personal_data import DeclaredPersonalData, PersonalData
from storage.database import Database


def build(shared: Shared, settings: BookingsSettings) -> Module:
    """Imports what it is made of here: a process that does not serve bookings has neither its code nor its contract."""
    from backroom.bookings.v1 import booking_service_pb2, booking_service_pb2_grpc
    from server.bookings.calendar_route import CalendarRoute
    from server.bookings.jobs import tasks
    from server.bookings.rules.asking import MakeBooking
    from server.bookings.rules.placing import Terms
    from server.bookings.service import Availability, Bookings, Calendars, Changing, FollowingZones, Making, Resources
    from server.bookings.servicer import BookingServicer
    from server.frame.batching import Batcher
    from storage.bookings.records import Booking
    from storage.bookings.store import BOOKINGS

    store, now, new_id = shared.database.store(BOOKINGS), shared.now, shared.new_id
    terms = Terms(timedelta(seconds=settings.lease_seconds), settings.max_bookings_ahead)
    making, changing, bookings = Making(store, now, new_id, terms), Changing(store, now), Bookings(store, now)
    booking = Batcher[MakeBooking, Booking](making.book, longest_seconds=shared.database.limits.answer)
    resources, availability = Resources(store, now, new_id), Availability(store, now)
    calendars = Calendars(store, shared.authentication.permissions_of, now)
    calendar_route = CalendarRoute(calendars, shared.master_keys, shared.logger)
    servicer = BookingServicer(
        resources, availability, making, booking, changing, bookings, calendars, calendar_route, new_id
    )
    return Module(
        services=(Service(booking_service_pb2, booking_service_pb2_grpc, servicer),),
        tasks=tasks(changing, FollowingZones(store, now, shared.logger)),
        routes=(calendar_route.route(),),
        batchers=(booking,),
        feeds=(bookings.feed,),
    )


def personal_data(database: Database) -> PersonalData:
    from storage.bookings.personal_data import PERSONAL_DATA
    from storage.bookings.store import BOOKINGS

    return DeclaredPersonalData(database.store(BOOKINGS), PERSONAL_DATA)


MANIFEST = Manifest(
    name="bookings", build=build, permissions=PERMISSIONS, event_types=EVENT_TYPES, personal_data=personal_data
)
