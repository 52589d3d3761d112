"""Cron expressions, read by APScheduler."""

import re
from datetime import tzinfo

from apscheduler.triggers.cron import CronTrigger

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(
    r"(?:(?P<all>\*)|(?P<first>[a-z]{3}|\d)(?:-(?P<last>[a-z]{3}|\d))?)(?:/(?P<step>[1-7]))?", re.IGNORECASE
)


def make_trigger(cron: str, zone: tzinfo) -> CronTrigger:
    """Five fields. Days of the week count as cron counts them: 0 and 7 are Sunday, and steps begin there; APScheduler
    begins on Monday. Raises ValueError.
    """
    fields = cron.split()
    if len(fields) != 5:
        raise ValueError("must have five fields: minute, hour, day of month, month, day of week")
    return CronTrigger.from_crontab(" ".join([*fields[:4], _named_days(fields[4])]), timezone=zone)


def _named_days(field: str) -> str:
    """Every day by its name, so that nothing is left to count."""
    days = {day for part in field.split(",") for day in _days_of(part)}
    return "*" if len(days) == len(_DAYS) else ",".join(_DAYS[day] for day in sorted(days))


def _days_of(part: str) -> set[int]:
    found = _PART.fullmatch(part)
    if found is None:
        raise ValueError(f"{part!r} is no day of the week: write 0-7, 1-5, mon,thu or */2")
    if found["all"]:
        first, last = 0, 6
    else:
        first = _day(found["first"])
        last = _day(found["last"]) if found["last"] else (6 if found["step"] else first)
        last = 7 if found["last"] and last == 0 and first else last
    if first > last:
        raise ValueError(f"{part!r} ends before it begins")
    return {day % 7 for day in range(first, last + 1, int(found["step"] or 1))}


def _day(text: str) -> int:
    if text.isdigit():
        if int(text) > 7:
            raise ValueError(f"{text!r} is no day of the week; they are 0 to 7")
        return int(text)
    if text.lower() not in _DAYS:
        raise ValueError(f"{text!r} is no day of the week")
    return _DAYS.index(text.lower())
