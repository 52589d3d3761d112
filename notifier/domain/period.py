"""Period: the stretch of time that a digest tells of. Whole local days, or what of them is over already."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum

from notifier.clock import Millis, to_millis

ONE_DAY = timedelta(days=1)
MOST_DAYS_OFF = 60
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
        """The last working day before this one. Raises ValueError when there is none for MOST_DAYS_OFF days."""
        return self._next(day, -ONE_DAY)

    def after(self, day: date) -> date:
        """The first working day after this one. Raises as before()."""
        return self._next(day, ONE_DAY)

    def _next(self, day: date, step: timedelta) -> date:
        for count in range(1, MOST_DAYS_OFF + 1):
            found = day + count * step
            if self.works_on(found):
                return found
        raise ValueError(f"no working day within {MOST_DAYS_OFF} days of {day}")


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


def finished(span: Span, day: date, zone: tzinfo, working: WorkCalendar | None = None) -> Period:
    """The last one that was over when this day began. working: only on working days is told, so that a day's digest
    covers everything since the working day before.
    """
    match span:
        case Span.DAY:
            first = working.before(day) if working else day - ONE_DAY
            return whole(span, first, day - ONE_DAY, zone)
        case Span.WEEK:
            monday = day - timedelta(days=day.weekday())
            return whole(span, monday - 7 * ONE_DAY, monday - ONE_DAY, zone)
        case Span.MONTH:
            last = day.replace(day=1) - ONE_DAY
            return whole(span, last.replace(day=1), last, zone)


def holding(span: Span, day: date, zone: tzinfo, working: WorkCalendar | None = None) -> Period:
    """The one in which this day lies."""
    match span:
        case Span.DAY if working:
            return finished(span, working.after(day), zone, working)
        case Span.DAY:
            return whole(span, day, day, zone)
        case Span.WEEK:
            monday = day - timedelta(days=day.weekday())
            return whole(span, monday, monday + 6 * ONE_DAY, zone)
        case Span.MONTH:
            following = (day.replace(day=28) + 4 * ONE_DAY).replace(day=1)
            return whole(span, day.replace(day=1), following - ONE_DAY, zone)


def so_far(period: Period, now: datetime) -> Period:
    """The same, up to now; itself where it is over. Raises ValueError where it has not begun."""
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
        label=f"{period.label}@{at}",
        so_far=True,
    )


def whole(span: Span, first: date, last: date, zone: tzinfo) -> Period:
    label = f"{span}:{first}" if first == last or span is not Span.DAY else f"{span}:{first}..{last}"
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
