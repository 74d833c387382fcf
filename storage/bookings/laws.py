"""What must hold of what bookings keeps: no two bookings overlap, and each has the places that it should."""

from collections.abc import Sequence

from storage.laws import Law

_BOOKINGS = "SELECT count(*) FROM bookings.bookings"
_ACTIVE = "state IN ('pending', 'confirmed')"

LAWS: Sequence[Law] = (
    Law(
        "I9",
        "no two pending or confirmed bookings have a place of a resource at the same time, buffers included",
        "SELECT count(*) FROM bookings.occupancies WHERE active",
        """
        SELECT DISTINCT booking_id FROM (
            SELECT booking_id, lower(occupied) AS begins, max(upper(occupied)) OVER (
                PARTITION BY resource_id, place ORDER BY lower(occupied), booking_id, seat
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS taken_until
            FROM bookings.occupancies WHERE active
        ) AS taken WHERE begins < taken_until
        """,
    ),
    Law(
        "I9",
        "no booking that shares its resource reaches into another's buffers",
        "SELECT count(*) FROM bookings.occupancies WHERE active",
        """
        SELECT DISTINCT one.booking_id FROM bookings.occupancies AS one JOIN bookings.occupancies AS other
            ON int8range(one.resource_number, one.resource_number, '[]')
                && int8range(other.resource_number, other.resource_number, '[]')
            AND one.occupied && other.occupied AND one.booking_id <> other.booking_id
        WHERE one.active AND other.active AND one.place <> other.place
            AND CASE WHEN tstzrange(one.start_time, one.end_time) && tstzrange(other.start_time, other.end_time)
                THEN tstzrange(lower(one.occupied), one.start_time)
                        && tstzrange(other.start_time, other.end_time)
                    OR tstzrange(one.end_time, upper(one.occupied))
                        && tstzrange(other.start_time, other.end_time)
                ELSE true END
        """,
    ),
    Law(
        "I18",
        "each pending or confirmed booking has all of its places, for its own time, and no other booking has any",
        _BOOKINGS,
        f"""
        SELECT bookings.id FROM bookings.bookings LEFT JOIN bookings.occupancies ON booking_id = bookings.id
        GROUP BY bookings.id
        HAVING count(booking_id) <> seats * cardinality(resource_ids)
            OR count(DISTINCT resource_id) <> cardinality(resource_ids)
            OR bool_or(active <> ({_ACTIVE})) OR NOT bool_and(resource_id = ANY (resource_ids))
            OR bool_or((occupancies.start_time, occupancies.end_time) <> (bookings.start_time, bookings.end_time))
            OR bool_or({_ACTIVE} AND occupancies.lease_end_time IS DISTINCT FROM bookings.lease_end_time)
        """,
    ),
    Law(
        "I19",
        "no booking is kept from others 5 seconds past the end of its lease",
        _BOOKINGS,
        "SELECT id FROM bookings.bookings WHERE state = 'pending' AND lease_end_time < now() - interval '5 seconds'",
    ),
    Law(
        "I20",
        "each booking has one event that it was made",
        _BOOKINGS,
        """
        SELECT id FROM bookings.bookings LEFT JOIN (
            SELECT subject_id, count(*) AS told FROM frame.events WHERE type = 'booking.made' GROUP BY subject_id
        ) AS made ON subject_id = id
        WHERE coalesce(told, 0) <> 1 AND bookings.create_time > (SELECT min(create_time) FROM frame.events)
        """,
    ),
)
