"""Timetable: when digests are due. Times of real zones, over the days on which their clocks change."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from notifier.clock import from_millis, to_millis
from notifier.config.cron import make_trigger
from notifier.domain.digest import DigestPlan
from notifier.domain.period import Span, WorkCalendar
from notifier.flow.digests.schedule import Due, due_between, next_due, period_of
from support.digests import PLAN

NEW_YORK, SHANGHAI = ZoneInfo("America/New_York"), ZoneInfo("Asia/Shanghai")
SECOND = 1000
DAY = 86_400 * SECOND


def at(text: str, zone: ZoneInfo = SHANGHAI) -> int:
    return to_millis(datetime.fromisoformat(text).replace(tzinfo=zone))


def labels(found: Iterable[Due]) -> list[str]:
    return [due.period.label for due in found]


def local(found: Iterable[Due], zone: ZoneInfo) -> list[str]:
    return [f"{from_millis(due.at).astimezone(zone):%m-%d %H:%M}" for due in found]


def test_a_day_comes_due_once_at_its_time() -> None:
    found = due_between(PLAN, at("2026-11-22 09:07"), at("2026-11-24 09:07"))

    assert ["day:2026-11-22", "day:2026-11-23"] == labels(found)
    assert ["11-23 09:07", "11-24 09:07"] == local(found, SHANGHAI)


@pytest.mark.parametrize("cut", [-1 * SECOND, -1, 0, 1, 1 * SECOND])
def test_wherever_a_stretch_is_cut_nothing_comes_twice_or_never(cut: int) -> None:
    """What a restart at T-1 s ... T+1 s does: it asks for (last look, now]."""
    time = at("2026-11-24 09:07")
    before, after = (time - DAY // 2, time + cut), (time + cut, time + DAY // 2)

    assert ["day:2026-11-23"] == labels([*due_between(PLAN, *before), *due_between(PLAN, *after)])


@pytest.mark.parametrize("clock", ["30 1", "30 2", "0 2", "59 1", "0 3", "7 9", "7 0"])
@pytest.mark.parametrize("zone", [NEW_YORK, SHANGHAI, ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Beirut")])
def test_every_day_of_a_year_comes_exactly_once_over_clock_changes(clock: str, zone: ZoneInfo) -> None:
    plan = replace(PLAN, cron=f"{clock} * * *", zone=zone)
    found = due_between(plan, at("2026-01-01 00:00", zone), at("2027-01-01 00:00", zone))
    every_day = [f"day:{date(2025, 12, 31) + timedelta(days=number)}" for number in range(365)]

    assert every_day == labels(found)


def test_a_time_that_does_not_exist_comes_an_hour_later() -> None:
    plan = replace(PLAN, cron="30 2 * * *", zone=NEW_YORK)
    found = due_between(plan, at("2026-03-07 12:00", NEW_YORK), at("2026-03-09 12:00", NEW_YORK))

    assert ["03-08 03:30", "03-09 02:30"] == local(found, NEW_YORK)


def test_a_time_that_exists_twice_comes_the_first_time() -> None:
    plan = replace(PLAN, cron="30 1 * * *", zone=NEW_YORK)
    found = due_between(plan, at("2026-10-31 12:00", NEW_YORK), at("2026-11-01 12:00", NEW_YORK))

    assert [datetime(2026, 11, 1, 5, 30, tzinfo=UTC)] == [from_millis(due.at) for due in found]


@pytest.mark.parametrize(
    "span, cron, expected",
    [
        (Span.MONTH, "7 9 1 * *", ["month:2026-01-01", "month:2026-02-01"]),
        (
            Span.WEEK,
            "7 9 * * mon",
            [f"week:2026-{day}" for day in ("01-26", "02-02", "02-09", "02-16", "02-23")],
        ),
    ],
)
def test_weeks_and_months(span: Span, cron: str, expected: list[str]) -> None:
    plan = replace(PLAN, span=span, cron=cron)
    found = due_between(plan, at("2026-02-01 00:00"), at("2026-03-02 23:00"))

    assert expected == labels(found)


def test_a_month_end_that_not_every_month_has() -> None:
    plan = replace(PLAN, span=Span.MONTH, cron="7 9 31 * *")
    found = due_between(plan, at("2026-01-01 00:00"), at("2026-06-01 00:00"))

    assert [
        "month:2025-12-01",
        "month:2026-01-01..2026-02-28",
        "month:2026-03-01..2026-04-30",
    ] == labels(found)


OCTOBER_HOLIDAYS = WorkCalendar(
    closed=frozenset(date(2026, 10, day) for day in range(1, 8)), opened=frozenset({date(2026, 10, 10)})
)


@pytest.mark.parametrize(
    "day, expected",
    [
        ("2026-11-23", "day:2026-11-20..2026-11-22"),  # Monday covers Friday and the weekend
        ("2026-11-24", "day:2026-11-23"),
        ("2026-10-08", "day:2026-09-30..2026-10-07"),  # after the holidays
        ("2026-10-10", "day:2026-10-09"),  # a Saturday that is worked
        ("2026-10-12", "day:2026-10-10..2026-10-11"),
    ],
)
def test_on_working_days_a_day_covers_everything_since_the_last_one(day: str, expected: str) -> None:
    plan = replace(PLAN, working=OCTOBER_HOLIDAYS)

    assert [expected] == labels(due_between(plan, at(f"{day} 00:00"), at(f"{day} 23:59")))


@pytest.mark.parametrize("working", [None, OCTOBER_HOLIDAYS])
@pytest.mark.parametrize(
    "span, cron",
    [
        (Span.DAY, "7 9 * * *"),
        (Span.DAY, "7 0 * * *"),
        (Span.DAY, "7 9 * * 1-5"),
        (Span.DAY, "7 9,15 * * */2"),
        (Span.DAY, "59 23 */3 * *"),
        (Span.WEEK, "7 9 * * 5"),
        (Span.WEEK, "7 0 * * 1"),
        (Span.WEEK, "7 9 1 * *"),
        (Span.MONTH, "7 9 30 * *"),
        (Span.MONTH, "7 9 31 * *"),
        (Span.MONTH, "7 0 1 * *"),
    ],
)
@pytest.mark.parametrize(
    "zone", [NEW_YORK, SHANGHAI, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Beirut")]
)
def test_no_day_is_left_out_and_none_is_told_twice(
    zone: ZoneInfo, span: Span, cron: str, working: WorkCalendar | None
) -> None:
    """Whatever the times are, asked for month by month as a process that was restarted does."""
    plan = replace(PLAN, cron=cron, zone=zone, span=span, working=working, jitter_ms=120 * SECOND)
    looks = [at(f"2026-{month:02}-11 12:00", zone) for month in range(1, 13)]
    found = [due for one, other in pairwise(looks) for due in due_between(plan, one, other)]

    assert found
    assert [due.period.to_at for due in found[:-1]] == [due.period.from_at for due in found[1:]]
    assert all(due.at >= due.period.to_at for due in found)


def test_a_day_is_told_with_its_neighbours_where_the_times_lie_further_apart() -> None:
    weekdays = replace(PLAN, cron="7 9 * * 1-5")

    assert "day:2026-11-20..2026-11-22" == period_of(weekdays, date(2026, 11, 21)).label
    assert "day:2026-11-23" == period_of(weekdays, date(2026, 11, 23)).label
    assert "day:2026-11-21" == period_of(PLAN, date(2026, 11, 21)).label
    assert "day:2026-11-21" == period_of(replace(PLAN, cron="7 9 30 2 *"), date(2026, 11, 21)).label


@pytest.mark.parametrize(
    "days, expected",
    [
        ("1-5", "Mon Tue Wed Thu Fri"),
        ("*/2", "Tue Thu Sat Sun"),
        ("1-5/2", "Mon Wed Fri"),
        ("0-6", "Mon Tue Wed Thu Fri Sat Sun"),
        ("5-7", "Fri Sat Sun"),
        ("6-0", "Sat Sun"),
        ("0,7", "Sun"),
        ("mon-fri", "Mon Tue Wed Thu Fri"),
        ("SUN,wed", "Wed Sun"),
        ("2/2", "Tue Thu Sat"),
    ],
)
def test_weekdays_count_as_cron_counts_them(days: str, expected: str) -> None:
    fires = make_trigger(f"7 9 * * {days}", SHANGHAI)
    monday = datetime(2026, 11, 23, tzinfo=SHANGHAI)
    week = [
        fired.strftime("%a")
        for number in range(7)
        for fired in [fires.get_next_fire_time(None, monday + timedelta(days=number))]
        if fired is not None and fired.date() == (monday + timedelta(days=number)).date()
    ]

    assert expected == " ".join(week)


@pytest.mark.parametrize("days", ["8", "5-2", "x", "mon-", "1-5/0", "", "1;2", "-1"])
def test_what_is_no_weekday_is_refused(days: str) -> None:
    with pytest.raises(ValueError, match=r"day of the week|ends before it starts|five fields"):
        make_trigger(f"7 9 * * {days}", SHANGHAI)


def test_a_time_on_a_day_off_moves_to_the_next_working_day() -> None:
    closed = WorkCalendar(closed=frozenset({date(2026, 11, 23)}))
    weekly = replace(PLAN, span=Span.WEEK, cron="7 9 * * mon", working=closed)
    daily = replace(PLAN, working=closed)
    week = (at("2026-11-20 00:00"), at("2026-11-25 00:00"))

    assert ["11-24 09:07"] == local(due_between(weekly, *week), SHANGHAI)
    assert ["week:2026-11-16"] == labels(due_between(weekly, *week))
    assert ["day:2026-11-19", "day:2026-11-20..2026-11-23"] == labels(due_between(daily, *week))


def test_two_times_a_day_tell_a_day_once() -> None:
    plan = replace(PLAN, cron="7 9,15 * * *")

    assert ["11-24 09:07"] == local(
        due_between(plan, at("2026-11-24 00:00"), at("2026-11-24 23:00")), SHANGHAI
    )


def test_jitter_spreads_and_everybody_agrees_on_it() -> None:
    plans = [replace(PLAN, name=f"hr-{number}", jitter_ms=120 * SECOND) for number in range(20)]
    time = at("2026-11-24 09:07")
    moments = [due_between(plan, time - 1, time + 120 * SECOND) for plan in plans]

    assert all(1 == len(found) for found in moments)
    assert len({found[0].at for found in moments}) > 10
    assert moments == [due_between(plan, time - 1, time + 120 * SECOND) for plan in plans]
    assert [found[0] for found in moments] == [next_due(plan, time - 1) for plan in plans]


def test_jitter_neither_loses_nor_doubles_a_day() -> None:
    plan = replace(PLAN, jitter_ms=3600 * SECOND)
    start = at("2026-11-01 09:07")
    looks = range(start, start + 10 * DAY, 7 * 60 * SECOND)
    found = [due for one in looks for due in due_between(plan, one, one + 7 * 60 * SECOND)]

    assert 10 == len(found)
    assert len(found) == len(set(labels(found)))


def test_the_next_one_is_the_first_that_is_not_due_yet() -> None:
    time = at("2026-11-24 09:07")

    assert "day:2026-11-23" == _next(PLAN, time - 1)
    assert "day:2026-11-24" == _next(PLAN, time)


def test_an_expression_that_never_comes_again_is_said_to_be_so() -> None:
    assert next_due(replace(PLAN, cron="7 9 30 2 *"), at("2026-11-24 00:00")) is None


def _next(plan: DigestPlan, after: int) -> str:
    found = next_due(plan, after)
    assert found is not None
    return found.period.label


@pytest.mark.parametrize(
    "days, expected", [("0", "Sun"), ("7", "Sun"), ("1", "Mon"), ("5", "Fri"), ("sat", "Sat")]
)
def test_days_of_the_week_count_as_cron_counts_them(days: str, expected: str) -> None:
    fired = make_trigger(f"7 9 * * {days}", SHANGHAI).get_next_fire_time(
        None, datetime(2026, 11, 24, tzinfo=SHANGHAI)
    )

    assert fired is not None
    assert expected == f"{fired:%a}"


def test_a_stretch_of_days_of_the_week() -> None:
    plan = replace(PLAN, cron="7 9 * * 1-5")
    found = due_between(plan, at("2026-11-20 12:00"), at("2026-11-25 00:00"))

    assert ["11-23 09:07", "11-24 09:07"] == local(found, SHANGHAI)


@pytest.mark.parametrize("cron", ["", "7 9 * *", "7 9 * * * *", "99 9 * * *", "7 9 * * someday", "a b c d e"])
def test_what_is_no_expression_is_refused(cron: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        make_trigger(cron, SHANGHAI)
