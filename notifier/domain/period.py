"""Period: the time that a digest covers, in whole local days or up to now."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum

from notifier.clock import Millis, to_millis

ONE_DAY = timedelta(days=1)
MAX_DAYS_OFF = 60
"""The greatest number of consecutive days off. More of them are an error in the configuration."""


class Span(StrEnum):
    """Length of a period."""

    DAY = "day"
    WEEK = "week"
    """Monday to Sunday."""
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCalendar:
    """Working days: Monday to Friday, except for the listed days.

    closed: holidays. opened: working days at a weekend.
    """

    closed: frozenset[date] = frozenset()
    opened: frozenset[date] = frozenset()

    def works_on(self, day: date) -> bool:
        """Whether the day is a working day."""
        return day in self.opened or (day.weekday() < 5 and day not in self.closed)

    def before(self, day: date) -> date:
        """Return the last working day before this day. Raises ValueError if there is none within MAX_DAYS_OFF days."""
        return self._next(day, -ONE_DAY)

    def after(self, day: date) -> date:
        """Return the first working day after this day. Raises ValueError as before() does."""
        return self._next(day, ONE_DAY)

    def _next(self, day: date, step: timedelta) -> date:
        for count in range(1, MAX_DAYS_OFF + 1):
            found = day + count * step
            if self.works_on(found):
                return found
        raise ValueError(f"no working day within {MAX_DAYS_OFF} days of {day}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A period in local days and in Unix milliseconds."""

    first: date
    """First day."""
    last: date
    """Last day."""
    from_at: Millis
    """Start, Unix milliseconds."""
    to_at: Millis
    """End, Unix milliseconds, not included."""
    label: str
    """Name in the database. A digest is sent once per label and recipient."""
    so_far: bool = False
    """Whether the period is not over. `to_at` is then the time up to which the digest counts."""


def beginning(span: Span, day: date) -> date:
    """Return the first day of the day, week or month that contains this day."""
    match span:
        case Span.DAY:
            return day
        case Span.WEEK:
            return day - timedelta(days=day.weekday())
        case Span.MONTH:
            return day.replace(day=1)


def finished(span: Span, day: date, zone: tzinfo) -> Period:
    """Return the newest period that was over at the start of this day."""
    return holding(span, beginning(span, day) - ONE_DAY, zone)


def ended_between(span: Span, since: date, day: date, zone: tzinfo) -> Period | None:
    """Return one period for all that ended after the start of `since` and before the start of `day`; None: none
    ended.
    """
    begin, end = beginning(span, since), beginning(span, day)
    return whole(span, begin, end - ONE_DAY, zone) if begin < end else None


def holding(span: Span, day: date, zone: tzinfo) -> Period:
    """Return the period that contains this day."""
    first = beginning(span, day)
    longest = {Span.DAY: ONE_DAY, Span.WEEK: 7 * ONE_DAY, Span.MONTH: 31 * ONE_DAY}[span]
    return whole(span, first, beginning(span, first + longest) - ONE_DAY, zone)


def so_far(period: Period, now: datetime) -> Period:
    """Return the part of the period up to now, or the whole period if it is over.

    The label of a part does not contain its end, so another digest of the same part counts as a repetition. Raises
    ValueError if the period has not begun.
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
    """Return the period from the first to the last day, which may combine several spans."""
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
    """Return `count` days, oldest first; the last one is the day before `end`."""
    return [end - timedelta(days=back) for back in range(count, 0, -1)]


def midnight(day: date, zone: tzinfo) -> Millis:
    """Return the first moment of the day in Unix milliseconds. If a clock change skips midnight, it is the moment
    after the change.
    """
    return to_millis(datetime(day.year, day.month, day.day, tzinfo=zone))


def working_days(closed: Collection[date], opened: Collection[date]) -> WorkCalendar:
    """Return the calendar with these holidays and additional working days."""
    return WorkCalendar(closed=frozenset(closed), opened=frozenset(opened))
