"""Series over changes of the clocks, their ends and exclusions, and the texts of rules."""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice

import pytest

from server.frame.recurrence import Occurrence, RecurrenceInvalid, Series, read_rule


def series(rule: str, start: str, zone: str = "Europe/Berlin", excluded: Iterable[str] = ()) -> Series:
    return Series.of(rule, datetime.fromisoformat(start), zone, [datetime.fromisoformat(each) for each in excluded])


def shown(found: Iterable[Occurrence]) -> list[str]:
    """Occurrences as "2026-03-28T02:30 01:30Z": the local time, and the instant's time of day."""
    return [f"{each.local_start:%Y-%m-%dT%H:%M} {each.start:%H:%MZ}" for each in found]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestOverChangesOfTheClocks:
    def test_the_local_time_stays(self) -> None:
        """At nine o'clock it is nine o'clock before and after the change."""
        found = series("FREQ=DAILY;COUNT=2", "2026-03-28T09:00").all(10)
        assert shown(found) == ["2026-03-28T09:00 08:00Z", "2026-03-29T09:00 07:00Z"]

    def test_a_skipped_time_is_dropped_and_not_counted(self) -> None:
        """Three times are three, though the second day has no half past two."""
        found = series("FREQ=DAILY;COUNT=3", "2026-03-28T02:30").all(10)
        assert shown(found) == ["2026-03-28T02:30 01:30Z", "2026-03-30T02:30 00:30Z", "2026-03-31T02:30 00:30Z"]

    def test_a_repeated_time_occurs_once_at_its_first_instant(self) -> None:
        """Half past two is there twice that night, and meant once."""
        found = series("FREQ=DAILY;COUNT=3", "2026-10-24T02:30").all(10)
        assert shown(found) == ["2026-10-24T02:30 00:30Z", "2026-10-25T02:30 00:30Z", "2026-10-26T02:30 01:30Z"]

    def test_half_an_hour_is_skipped_on_lord_howe(self) -> None:
        """Where clocks are put forward by half an hour, only that half hour is dropped."""
        found = series("FREQ=DAILY;BYHOUR=2;BYMINUTE=0,15,30;COUNT=3", "2026-10-04T00:00", "Australia/Lord_Howe").all(9)
        assert shown(found) == ["2026-10-04T02:30 15:30Z", "2026-10-05T02:00 15:00Z", "2026-10-05T02:15 15:15Z"]

    def test_a_whole_day_is_skipped_in_samoa(self) -> None:
        """December 30th, 2011 was no day in Apia, at no time."""
        found = series("FREQ=DAILY;COUNT=2", "2011-12-29T12:00", "Pacific/Apia").all(9)
        assert shown(found) == ["2011-12-29T12:00 22:00Z", "2011-12-31T12:00 22:00Z"]

    def test_midnight_is_skipped_in_cairo(self) -> None:
        """A day that begins at one o'clock has no occurrence at midnight."""
        found = series("FREQ=DAILY;COUNT=2", "2026-04-23T00:00", "Africa/Cairo").all(9)
        assert shown(found) == ["2026-04-23T00:00 22:00Z", "2026-04-25T00:00 21:00Z"]

    def test_a_quarter_of_an_hour_is_part_of_an_offset(self) -> None:
        """Kathmandu is 5:45 ahead."""
        assert shown(series("FREQ=DAILY;COUNT=1", "2026-01-01T12:00", "Asia/Kathmandu").all(9)) == [
            "2026-01-01T12:00 06:15Z"
        ]

    def test_a_rule_that_names_skipped_times_alone_is_refused(self) -> None:
        """Half past two on the day of the change is skipped every year."""
        with pytest.raises(RecurrenceInvalid, match="rule: has no occurrence from the start until 100 years later"):
            series("FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU", "2026-03-29T02:30")


class TestEndsAndExclusions:
    @pytest.mark.parametrize(
        ("until", "number"),
        [
            ("20260103T083000Z", 3),
            ("20260103T082959Z", 2),
            ("20260103T093000", 3),
            ("20260103T092959", 2),
            ("20260103", 3),
            ("20260102", 2),
        ],
    )
    def test_until_is_the_last_moment(self, until: str, number: int) -> None:
        """In UTC, in local time, or as a whole local day, it belongs to the series."""
        assert len(series(f"FREQ=DAILY;UNTIL={until}", "2026-01-01T09:30").all(10)) == number

    def test_until_in_utc_is_an_instant_where_the_local_day_is_another(self) -> None:
        """Midnight of the second in Auckland is noon of the first in UTC."""
        assert len(series("FREQ=DAILY;UNTIL=20260101T120000Z", "2026-01-01T00:00", "Pacific/Auckland").all(9)) == 2

    def test_excluded_occurrences_are_counted(self) -> None:
        """Of three, one of which is excluded, two are left."""
        found = series("FREQ=DAILY;COUNT=3", "2026-01-01T09:00", excluded=["2026-01-02T09:00", "2026-01-02T10:00"]).all(
            9
        )
        assert shown(found) == ["2026-01-01T09:00 08:00Z", "2026-01-03T09:00 08:00Z"]

    def test_a_series_with_all_excluded_is_refused(self) -> None:
        """What never occurs is refused, and the exclusions are named for it."""
        with pytest.raises(RecurrenceInvalid) as refused:
            series("FREQ=DAILY;COUNT=1", "2026-01-01T09:00", excluded=["2026-01-01T09:00"])
        assert (refused.value.field, refused.value.description) == ("excluded", "leaves no occurrence")

    def test_a_start_that_the_rule_does_not_name_is_no_occurrence(self) -> None:
        """Mondays from a Thursday on begin with the next Monday, and the count with it."""
        found = series("FREQ=WEEKLY;BYDAY=MO;COUNT=2", "2026-01-01T09:00").all(9)
        assert shown(found) == ["2026-01-05T09:00 08:00Z", "2026-01-12T09:00 08:00Z"]

    def test_all_refuses_more_than_the_limit(self) -> None:
        """A series without an end is to be bounded, and a long one to be made shorter."""
        assert len(series("FREQ=DAILY;COUNT=5", "2026-01-01T09:00").all(5)) == 5
        with pytest.raises(RecurrenceInvalid, match="rule: has more than 5 occurrences: bound it by COUNT or UNTIL"):
            series("FREQ=DAILY", "2026-01-01T09:00").all(5)
        with pytest.raises(
            RecurrenceInvalid, match="more than 4 occurrences: give a smaller COUNT or an earlier UNTIL"
        ):
            series("FREQ=DAILY;COUNT=5", "2026-01-01T09:00").all(4)

    def test_february_29th_is_there_in_leap_years_alone(self) -> None:
        """2100 is none of them."""
        found = islice(series("FREQ=YEARLY", "2088-02-29T09:00").occurrences(), 5)
        assert [each.local_start.year for each in found] == [2088, 2092, 2096, 2104, 2108]


class TestWeeks:
    @pytest.mark.parametrize(
        ("rule", "start", "expected"),
        [
            # The week of the start began in the year before, and its first day was before the start.
            ("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=1", "2026-01-01", ["2026-01-05", "2026-01-12"]),
            # Week 1 of 2026 begins in 2025; two years later it is that of 2028.
            (
                "FREQ=YEARLY;INTERVAL=2;BYWEEKNO=1;BYDAY=MO,SU",
                "2025-12-29",
                ["2025-12-29", "2026-01-04", "2028-01-03", "2028-01-09"],
            ),
            # 2026 has 53 weeks, and 2027 has 52.
            ("FREQ=YEARLY;BYWEEKNO=-1;BYDAY=MO", "2026-01-01", ["2026-12-28", "2027-12-27"]),
            ("FREQ=YEARLY;BYWEEKNO=-53;BYDAY=MO", "2025-12-29", ["2025-12-29", "2031-12-29"]),
            ("FREQ=YEARLY;BYWEEKNO=20", "2026-05-13", ["2026-05-13", "2027-05-19"]),
        ],
    )
    def test_a_week_is_whole_across_two_years(self, rule: str, start: str, expected: list[str]) -> None:
        """It belongs to one year, and to positions with all of its days."""
        found = islice(series(rule, f"{start}T09:00").occurrences(), len(expected))
        assert [f"{each.local_start:%Y-%m-%d}" for each in found] == expected


class TestWindows:
    def test_the_begin_belongs_to_a_window_and_the_end_does_not(self) -> None:
        """Windows side by side have each occurrence once."""
        found = series("FREQ=DAILY", "2026-01-01T09:00")
        window = found.occurrences(utc("2026-01-02T08:00"), utc("2026-01-04T08:00"))
        assert shown(window) == ["2026-01-02T09:00 08:00Z", "2026-01-03T09:00 08:00Z"]

    def test_a_window_before_the_start_is_empty_however_early(self) -> None:
        """The first year that a datetime knows is no error."""
        found = series("FREQ=DAILY", "2026-01-01T09:00")
        assert list(found.occurrences(datetime.min.replace(tzinfo=UTC), utc("2026-01-01T08:00"))) == []

    def test_a_window_after_the_end_is_empty_however_late(self) -> None:
        """The last year that a datetime knows is no error."""
        for rule in ("FREQ=DAILY", "FREQ=DAILY;COUNT=3", "FREQ=DAILY;UNTIL=99991231T235959Z"):
            assert list(series(rule, "2026-01-01T09:00").occurrences(datetime.max.replace(tzinfo=UTC))) == []

    def test_a_window_of_a_counted_series_counts_from_the_start(self) -> None:
        """The third to the fifth of five are in the window, and the sixth is not."""
        window = series("FREQ=DAILY;COUNT=5", "2026-01-01T09:00").occurrences(utc("2026-01-03T00:00"))
        assert shown(window) == ["2026-01-03T09:00 08:00Z", "2026-01-04T09:00 08:00Z", "2026-01-05T09:00 08:00Z"]

    def test_every_second_week_keeps_its_weeks_in_a_late_window(self) -> None:
        """A window that is looked into directly has the occurrences that counting from the start finds."""
        found = series("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU", "2026-01-04T09:00")
        begin = utc("2041-12-20T00:00")
        late = [each for each in islice(found.occurrences(), 1000) if each.start >= begin][:6]
        assert list(islice(found.occurrences(begin), 6)) == late

    def test_next_after_passes_over_the_instant_itself(self) -> None:
        """The next after an occurrence is the one behind it, and after the last there is none."""
        found = series("FREQ=DAILY;COUNT=2", "2026-01-01T09:00")
        following = found.next_after(utc("2026-01-01T08:00"))
        assert following
        assert shown([following]) == ["2026-01-02T09:00 08:00Z"]
        assert found.next_after(following.start) is None


class TestAfterCompletion:
    @pytest.mark.parametrize(
        ("rule", "completed", "expected"),
        [
            ("FREQ=DAILY;INTERVAL=3", "2026-01-07T22:00", "2026-01-10T09:00"),
            # In Berlin it is the 8th already.
            ("FREQ=DAILY;INTERVAL=3", "2026-01-07T23:30", "2026-01-11T09:00"),
            ("FREQ=WEEKLY", "2026-01-07T22:00", "2026-01-14T09:00"),
            ("FREQ=WEEKLY;BYDAY=MO,FR", "2026-01-07T22:00", "2026-01-09T09:00"),
            ("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-01-31T22:00", "2026-02-28T09:00"),
            ("FREQ=DAILY;COUNT=1", "2026-01-07T06:00", "2026-01-08T09:00"),
        ],
    )
    def test_the_series_begins_anew_on_the_day_of_completion(self, rule: str, completed: str, expected: str) -> None:
        """What is due next is counted from the local day on which it was done."""
        following = series(rule, "2026-01-01T09:00").next_after_completion(utc(completed))
        assert following
        assert following.local_start == datetime.fromisoformat(expected)

    def test_until_ends_it(self) -> None:
        """After its end, nothing follows."""
        found = series("FREQ=DAILY;UNTIL=20260110", "2026-01-01T09:00")
        assert found.next_after_completion(utc("2026-01-10T12:00")) is None


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "canonical"),
        [
            ("RRULE:FREQ=WEEKLY", "FREQ=WEEKLY"),
            ("byday=we,MO,mo;freq=weekly;interval=1;wkst=MO", "FREQ=WEEKLY;BYDAY=MO,WE"),
            ("FREQ=MONTHLY;BYDAY=+1MO,-1SU,FR", "FREQ=MONTHLY;BYDAY=1MO,FR,-1SU"),
            ("FREQ=YEARLY;BYMONTHDAY=-1,1,01;BYMONTH=12,+2", "FREQ=YEARLY;BYMONTH=2,12;BYMONTHDAY=-1,1"),
            ("UNTIL=20261231T225959Z;INTERVAL=02;FREQ=DAILY", "FREQ=DAILY;INTERVAL=2;UNTIL=20261231T225959Z"),
            ("FREQ=DAILY;UNTIL=09991231T225959", "FREQ=DAILY;UNTIL=09991231T225959"),
            ("FREQ=DAILY;UNTIL=20261231", "FREQ=DAILY;UNTIL=20261231"),
            (
                "FREQ=WEEKLY;WKST=SU;COUNT=3;BYSETPOS=1,-1;BYHOUR=0,9",
                "FREQ=WEEKLY;COUNT=3;WKST=SU;BYHOUR=0,9;BYSETPOS=-1,1",
            ),
            (
                "FREQ=YEARLY;BYSECOND=1;BYMINUTE=2;BYHOUR=3;BYYEARDAY=4;BYWEEKNO=5",
                "FREQ=YEARLY;BYWEEKNO=5;BYYEARDAY=4;BYHOUR=3;BYMINUTE=2;BYSECOND=1",
            ),
        ],
    )
    def test_a_rule_has_one_canonical_text(self, text: str, canonical: str) -> None:
        """Texts that say the same become the same, and it is read as the same rule."""
        assert str(read_rule(text)) == canonical
        assert read_rule(canonical) == read_rule(text)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", '"" is not of the form NAME=VALUE'),
            ("FREQ=DAILY;", '"" is not of the form NAME=VALUE'),
            ("FREQ", '"FREQ" is not of the form NAME=VALUE'),
            ("COUNT=3", "has no FREQ"),
            ("FREQ=DAILY;FREQ=DAILY", "FREQ is there twice"),
            ("FREQ=FORTNIGHTLY", "FREQ=FORTNIGHTLY is none of DAILY, WEEKLY, MONTHLY, YEARLY"),
            ("FREQ=DAILY;BYEASTER=0", "BYEASTER is not a part that this server knows"),
            ("FREQ=MONTHLY;RSCALE=GREGORIAN;SKIP=FORWARD", "RSCALE is not a part that this server knows"),
            ("FREQ=DAILY;COUNT=3;UNTIL=20260101", "has both COUNT and UNTIL"),
            ("FREQ=DAILY;COUNT=0", "COUNT: 0 is not a number from 1 to 10,000"),
            ("FREQ=DAILY;INTERVAL=0", "INTERVAL: 0 is not a number from 1 to 1,000"),
            ("FREQ=DAILY;INTERVAL=1_0", "INTERVAL: 1_0 is not a number"),
            ("FREQ=DAILY;INTERVAL=-1", "INTERVAL: -1 is not a number"),
            ("FREQ=DAILY;INTERVAL=\u0663", "has other characters than those of ASCII"),
            ("FREQ=DA\u0131LY", "has other characters than those of ASCII"),
            ("FREQ=DAILY;UNTIL=20260230", "UNTIL=20260230 is no time"),
            ("FREQ=DAILY;UNTIL=2026-01-01", "UNTIL=2026-01-01 is no time"),
            ("FREQ=DAILY;UNTIL=20260101Z", "UNTIL=20260101Z is no time"),
            ("FREQ=DAILY;WKST=1", "WKST=1 is none of MO, TU"),
            ("FREQ=MONTHLY;BYDAY=0MO", 'BYDAY: "0MO" is no weekday'),
            ("FREQ=MONTHLY;BYDAY=MO,", 'BYDAY: "" is no weekday'),
            ("FREQ=MONTHLY;BYDAY=6MO", "BYDAY=6MO: a period of FREQ=MONTHLY has at most 5"),
            ("FREQ=YEARLY;BYMONTH=2;BYDAY=6MO", "BYDAY=6MO: a period of FREQ=MONTHLY has at most 5"),
            ("FREQ=WEEKLY;BYDAY=1MO", "BYDAY=1MO does not go with FREQ=WEEKLY"),
            ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO", "BYDAY=1MO does not go with BYWEEKNO"),
            ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY: 0 is not a number from 1 to 31, or -1 to -31 from the end"),
            ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY: 32 is not a number"),
            ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY does not go with FREQ=WEEKLY"),
            ("FREQ=MONTHLY;BYYEARDAY=1", "BYYEARDAY does not go with FREQ=MONTHLY"),
            ("FREQ=MONTHLY;BYWEEKNO=1", "BYWEEKNO does not go with FREQ=MONTHLY"),
            ("FREQ=DAILY;BYHOUR=24", "BYHOUR: 24 is not a number from 0 to 23"),
            ("FREQ=DAILY;BYSECOND=60", "BYSECOND: 60 is not a number from 0 to 59"),
            ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS needs another BY part"),
            ("FREQ=DAILY;BYHOUR=1;BYSETPOS=2", "BYSETPOS: a period of FREQ=DAILY has at most 1 occurrences"),
            ("FREQ=DAILY\r\nATTACH:x", "FREQ=DAILY"),
        ],
    )
    def test_what_a_rule_may_not_say_is_refused(self, text: str, message: str) -> None:
        """A refusal names the part, what is wrong with it, and what is allowed, in one line."""
        with pytest.raises(RecurrenceInvalid) as refused:
            read_rule(text)
        assert refused.value.field == "rule"
        assert message in refused.value.description
        assert refused.value.description.isprintable()

    @pytest.mark.parametrize(
        ("start", "zone", "excluded", "field"),
        [
            ("2026-01-01T09:00+01:00", "UTC", "2026-01-01T09:00", "start"),
            ("2026-01-01T09:00:00.5", "UTC", "2026-01-01T09:00", "start"),
            ("1899-12-31T09:00", "UTC", "2026-01-01T09:00", "start"),
            ("9801-01-01T09:00", "UTC", "2026-01-01T09:00", "start"),
            ("2026-01-01T09:00", "Europe/Atlantis", "2026-01-01T09:00", "time_zone"),
            ("2026-01-01T09:00", "UTC", "2026-01-01T09:00Z", "excluded[0]"),
        ],
    )
    def test_the_field_that_is_wrong_is_named(self, start: str, zone: str, excluded: str, field: str) -> None:
        """Each of what makes a series is refused by its own name."""
        with pytest.raises(RecurrenceInvalid) as refused:
            series("FREQ=DAILY", start, zone, [excluded])
        assert refused.value.field == field
