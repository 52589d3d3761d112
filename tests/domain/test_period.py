"""Periods: which days a digest tells of, in every zone and on every kind of day."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from notifier.clock import from_millis
from notifier.domain.period import (
    MAX_DAYS_OFF,
    Period,
    Span,
    WorkCalendar,
    days_before,
    ended_between,
    finished,
    holding,
    midnight,
    so_far,
)

SHANGHAI, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")


def days(period: Period) -> tuple[str, str]:
    return str(period.first), str(period.last)


@pytest.mark.parametrize(
    "span, day, expected",
    [
        (Span.DAY, date(2026, 3, 1), ("2026-02-28", "2026-02-28")),
        (Span.DAY, date(2026, 1, 1), ("2025-12-31", "2025-12-31")),
        (Span.WEEK, date(2026, 11, 23), ("2026-11-16", "2026-11-22")),
        (Span.WEEK, date(2026, 11, 29), ("2026-11-16", "2026-11-22")),
        (Span.MONTH, date(2026, 3, 31), ("2026-02-01", "2026-02-28")),
        (Span.MONTH, date(2028, 3, 1), ("2028-02-01", "2028-02-29")),
        (Span.MONTH, date(2026, 1, 1), ("2025-12-01", "2025-12-31")),
    ],
)
def test_the_period_that_was_over_when_a_day_began(span: Span, day: date, expected: tuple[str, str]) -> None:
    assert expected == days(finished(span, day, SHANGHAI))


@pytest.mark.parametrize(
    "span, day, expected",
    [
        (Span.DAY, date(2026, 3, 1), ("2026-03-01", "2026-03-01")),
        (Span.WEEK, date(2026, 11, 22), ("2026-11-16", "2026-11-22")),
        (Span.MONTH, date(2026, 12, 31), ("2026-12-01", "2026-12-31")),
        (Span.MONTH, date(2026, 2, 1), ("2026-02-01", "2026-02-28")),
    ],
)
def test_the_period_that_a_day_lies_in(span: Span, day: date, expected: tuple[str, str]) -> None:
    assert expected == days(holding(span, day, SHANGHAI))


@pytest.mark.parametrize(
    "span, since, day, expected",
    [
        (Span.DAY, date(2026, 11, 20), date(2026, 11, 23), ("2026-11-20", "2026-11-22")),
        (Span.DAY, date(2026, 11, 23), date(2026, 11, 24), ("2026-11-23", "2026-11-23")),
        (Span.WEEK, date(2026, 9, 25), date(2026, 10, 8), ("2026-09-21", "2026-10-04")),
        (Span.MONTH, date(2026, 1, 31), date(2026, 3, 31), ("2026-01-01", "2026-02-28")),
        (Span.MONTH, date(2026, 1, 30), date(2026, 2, 28), ("2026-01-01", "2026-01-31")),
    ],
)
def test_all_that_ended_since_the_telling_before(
    span: Span, since: date, day: date, expected: tuple[str, str]
) -> None:
    period = ended_between(span, since, day, SHANGHAI)

    assert period is not None
    assert expected == days(period)


def test_nothing_has_ended_on_the_same_day() -> None:
    assert ended_between(Span.DAY, date(2026, 11, 23), date(2026, 11, 23), SHANGHAI) is None
    assert ended_between(Span.MONTH, date(2026, 11, 1), date(2026, 11, 30), SHANGHAI) is None


@pytest.mark.parametrize("zone", [SHANGHAI, NEW_YORK, ZoneInfo("America/Sao_Paulo"), ZoneInfo("Asia/Beirut")])
@pytest.mark.parametrize("span", list(Span))
def test_periods_follow_each_other_without_gap_or_overlap(zone: ZoneInfo, span: Span) -> None:
    """For two years, day by day, clock changes included: also where midnight does not exist."""
    told: dict[str, Period] = {}
    for number in range(730):
        period = finished(span, date(2026, 1, 5) + timedelta(days=number), zone)
        told.setdefault(period.label, period)
    in_order = list(told.values())

    assert [one.to_at for one in in_order[:-1]] == [one.from_at for one in in_order[1:]]
    assert all(one.from_at < one.to_at for one in in_order)


@pytest.mark.parametrize(
    "day, hours", [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 7, 1), 24)]
)
def test_a_day_is_as_long_as_it_is_there(day: date, hours: int) -> None:
    period = holding(Span.DAY, day, NEW_YORK)

    assert hours * 3_600_000 == period.to_at - period.from_at


def test_a_day_in_shanghai_always_has_24_hours() -> None:
    lengths = {
        period.to_at - period.from_at
        for number in range(366)
        for period in [holding(Span.DAY, date(2026, 1, 1) + timedelta(days=number), SHANGHAI)]
    }

    assert {86_400_000} == lengths


def test_midnight_is_the_local_one() -> None:
    assert datetime(2026, 11, 23, 16, tzinfo=UTC) == from_millis(midnight(date(2026, 11, 24), SHANGHAI))


def test_a_period_that_is_not_over_is_told_up_to_now_under_a_name_of_its_own() -> None:
    whole = holding(Span.DAY, date(2026, 11, 24), SHANGHAI)
    now = datetime(2026, 11, 24, 7, tzinfo=UTC)
    part = so_far(whole, now)

    assert (True, now) == (part.so_far, from_millis(part.to_at))
    assert part.label != whole.label
    assert part.from_at == whole.from_at


def test_a_period_that_is_over_stays_itself() -> None:
    whole = holding(Span.DAY, date(2026, 11, 24), SHANGHAI)

    assert whole is so_far(whole, datetime(2026, 11, 24, 16, tzinfo=UTC))


def test_a_period_that_has_not_begun_cannot_be_told() -> None:
    with pytest.raises(ValueError, match="has not begun yet"):
        so_far(holding(Span.DAY, date(2026, 11, 25), SHANGHAI), datetime(2026, 11, 24, 7, tzinfo=UTC))


def test_a_calendar_without_a_working_day_is_refused() -> None:
    closed = frozenset(date(2026, 11, 1) + timedelta(days=number) for number in range(2 * MAX_DAYS_OFF))

    with pytest.raises(ValueError, match="no working day within 60 days of 2026-11-20"):
        WorkCalendar(closed=closed).after(date(2026, 11, 20))


def test_days_for_a_chart_end_with_the_day_before() -> None:
    assert [date(2026, 2, 28), date(2026, 3, 1)] == days_before(date(2026, 3, 2), 2)
