"""Local times and the names of zones."""

from datetime import UTC, datetime, timedelta

import pytest

from server.frame.local_time import TimeZoneUnknown, clock_changes, instant_of, local_of, time_zone


def instant(local: str, zone: str) -> str | None:
    found = instant_of(datetime.fromisoformat(local), time_zone(zone))
    return f"{found:%Y-%m-%dT%H:%M}Z" if found else None


@pytest.mark.parametrize(
    ("local", "zone", "expected"),
    [
        ("2026-07-01T12:00", "Asia/Kathmandu", "2026-07-01T06:15Z"),
        ("2026-03-29T01:59", "Europe/Berlin", "2026-03-29T00:59Z"),
        ("2026-03-29T02:00", "Europe/Berlin", None),
        ("2026-03-29T02:59", "Europe/Berlin", None),
        ("2026-03-29T03:00", "Europe/Berlin", "2026-03-29T01:00Z"),
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30Z"),
        ("2026-10-25T03:00", "Europe/Berlin", "2026-10-25T02:00Z"),
        # Half an hour is skipped, and half an hour shown twice.
        ("2026-10-04T02:15", "Australia/Lord_Howe", None),
        ("2026-10-04T02:30", "Australia/Lord_Howe", "2026-10-03T15:30Z"),
        ("2026-04-05T01:45", "Australia/Lord_Howe", "2026-04-04T14:45Z"),
        # A day without midnight.
        ("2026-04-24T00:00", "Africa/Cairo", None),
        ("2017-10-15T00:30", "America/Sao_Paulo", None),
        ("2017-10-15T01:00", "America/Sao_Paulo", "2017-10-15T03:00Z"),
        # A day that Samoa passed over, to be on the other side of the date line.
        ("2011-12-29T23:59", "Pacific/Apia", "2011-12-30T09:59Z"),
        ("2011-12-30T00:00", "Pacific/Apia", None),
        ("2011-12-30T23:59", "Pacific/Apia", None),
        ("2011-12-31T00:00", "Pacific/Apia", "2011-12-30T10:00Z"),
        # In Dublin, winter is the time that is shifted.
        ("2026-10-25T01:30", "Europe/Dublin", "2026-10-25T00:30Z"),
    ],
)
def test_a_local_time_is_the_first_instant_that_shows_it_or_none(local: str, zone: str, expected: str | None) -> None:
    """What the clocks skip is no instant, and what they show twice the first one."""
    assert instant(local, zone) == expected


def test_an_instant_is_shown_by_the_clock_of_its_zone() -> None:
    """Both instants of a repeated hour are shown as the same local time."""
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    shown = {local_of(each, time_zone("Europe/Berlin")) for each in (first, first + timedelta(hours=1))}
    assert shown == {datetime(2026, 10, 25, 2, 30)}


@pytest.mark.parametrize(
    ("zone", "year", "expected"),
    [
        ("Europe/Berlin", 2026, ["2026-03-29T01:00Z +1:00:00", "2026-10-25T01:00Z -1 day, 23:00:00"]),
        ("Australia/Lord_Howe", 2026, ["2026-04-04T15:00Z -1 day, 23:30:00", "2026-10-03T15:30Z +0:30:00"]),
        ("Asia/Kathmandu", 2026, []),
        ("UTC", 2026, []),
    ],
)
def test_changes_of_the_clocks_are_found_in_order(zone: str, year: int, expected: list[str]) -> None:
    """Each at its instant, with how far the clocks are put."""
    found = clock_changes(time_zone(zone), datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
    put = [(each.instant, each.after - each.before) for each in found]
    assert [f"{at:%Y-%m-%dT%H:%M}Z {'+' if by > timedelta() else ''}{by}" for at, by in put] == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("europe/berlin", "is written Europe/Berlin"),
        ("utc", "is written UTC"),
        ("+02:00", "is an offset"),
        ("UTC+2", "is an offset"),
        ("Europe", "is not a time zone"),
        ("Europe/Berlin\0", "is not a time zone"),
        ("../../etc/passwd", "is not a time zone"),
        ("/usr/share/zoneinfo/UTC", "is not a time zone"),
        ("localtime", "is not a time zone"),
        ("", "is not a time zone"),
        ("x" * 100_000, "is not a time zone"),
    ],
)
def test_only_names_of_the_iana_database_are_time_zones(name: str, message: str) -> None:
    """Any other name is refused with what to write, and none reaches the file system."""
    with pytest.raises(TimeZoneUnknown, match=message):
        time_zone(name)


@pytest.mark.parametrize("name", ["UTC", "Etc/GMT+5", "Asia/Calcutta", "America/Argentina/Buenos_Aires"])
def test_utc_and_old_names_are_time_zones(name: str) -> None:
    """The database's own names of offsets, and those that it keeps for places that were renamed, are accepted."""
    assert time_zone(name).key == name
