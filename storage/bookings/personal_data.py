"""What bookings has of a person: bookings, of which the record keeps ids and times."""

from storage.bookings.tables import bookings
from storage.personal_data import JsonOwner, OwnedRows, PersonalDataRules

PERSONAL_DATA = PersonalDataRules(
    rows=(
        OwnedRows(
            kind="booking",
            table=bookings,
            owned=lambda person: bookings.c.customer_id == person.text,
            exported=(
                *("id", "series_id", "customer_id", "booked_by", "state", "resource_ids", "seats", "title"),
                *("local_start", "time_zone", "start_time", "end_time", "cancel_reason", "create_time", "update_time"),
            ),
            erased={"title": "", "cancel_reason": ""},
        ),
    ),
    owners=(JsonOwner("customer_id", frozenset({"title", "cancel_reason"})),),
)
