"""Period: the stretch of time that a digest tells of. Whole local days, or what of them is over already."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum

from notifier.clock import Millis, to_millis

ONE_DAY = timedelta(days=1)
MAX_DAYS_OFF = 60
"""So many days in a row nobody works at most; more of them is a slip in the configuration."""


class Span(StrEnum):
    DAY = "day"
    WEEK = "week"
    """Monday to Sunday."""
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCalendar:
    """Monday to Friday, but for the days named. closed: holidays. opened: weekend days that are worked."""

    closed: frozenset[date] = frozenset()
    opened: frozenset[date] = frozenset()

    def works_on(self, day: date) -> bool:
        return day in self.opened or (day.weekday() < 5 and day not in self.closed)

    def before(self, day: date) -> date:
        """The last working day before this one. Raises ValueError when there is none for MAX_DAYS_OFF days."""
        return self._next(day, -ONE_DAY)

    def after(self, day: date) -> date:
        """The first working day after this one. Raises as before()."""
        return self._next(day, ONE_DAY)

    def _next(self, day: date, step: timedelta) -> date:
        for count in range(1, MAX_DAYS_OFF + 1):
            found = day + count * step
            if self.works_on(found):
                return found
        raise ValueError(f"no working day within {MAX_DAYS_OFF} days of {day}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """first: its first day. last: its last day. from_at, to_at: the same as moments, to_at not included.
    so_far: it is not over; to_at is then the moment up to which it is told.

    label: what it is called in the books; one digest tells a label once to each recipient.
    """

    first: date
    last: date
    from_at: Millis
    to_at: Millis
    label: str
    so_far: bool = False


def beginning(span: Span, day: date) -> date:
    """The first day of the day, week or month in which this one lies: all before it is over when the day begins."""
    match span:
        case Span.DAY:
            return day
        case Span.WEEK:
            return day - timedelta(days=day.weekday())
        case Span.MONTH:
            return day.replace(day=1)


def finished(span: Span, day: date, zone: tzinfo) -> Period:
    """The last one that was over when this day began."""
    return holding(span, beginning(span, day) - ONE_DAY, zone)


def ended_between(span: Span, since: date, day: date, zone: tzinfo) -> Period | None:
    """All that ended after the first of these days had begun, and before the second had. None where nothing did."""
    begin, end = beginning(span, since), beginning(span, day)
    return whole(span, begin, end - ONE_DAY, zone) if begin < end else None


def holding(span: Span, day: date, zone: tzinfo) -> Period:
    """The one in which this day lies."""
    first = beginning(span, day)
    longest = {Span.DAY: ONE_DAY, Span.WEEK: 7 * ONE_DAY, Span.MONTH: 31 * ONE_DAY}[span]
    return whole(span, first, beginning(span, first + longest) - ONE_DAY, zone)


def so_far(period: Period, now: datetime) -> Period:
    """The same, up to now; itself where it is over. Its label does not say up to when, so that telling it once more is
    telling it again. Raises ValueError where it has not begun.
    """
    at = to_millis(now)
    if at >= period.to_at:
        return period
    if at <= period.from_at:
        raise ValueError(f"{period.first} has not begun yet")
    return Period(
        first=period.first,
        last=period.last,
        from_at=period.from_at,
        to_at=at,
        label=f"{period.label} so far",
        so_far=True,
    )


def whole(span: Span, first: date, last: date, zone: tzinfo) -> Period:
    single = last + ONE_DAY == beginning(span, last + ONE_DAY) and first == beginning(span, last)
    label = f"{span}:{first}" if single else f"{span}:{first}..{last}"
    return Period(
        first=first,
        last=last,
        from_at=midnight(first, zone),
        to_at=midnight(last + ONE_DAY, zone),
        label=label,
    )


def days_before(end: date, count: int) -> list[date]:
    """So many days, oldest first, the last one the day before `end`."""
    return [end - timedelta(days=back) for back in range(count, 0, -1)]


def midnight(day: date, zone: tzinfo) -> Millis:
    """The day's first moment; where the clocks skip midnight, the moment they skip to."""
    return to_millis(datetime(day.year, day.month, day.day, tzinfo=zone))


def working_days(closed: Collection[date], opened: Collection[date]) -> WorkCalendar:
    return WorkCalendar(closed=frozenset(closed), opened=frozenset(opened))
