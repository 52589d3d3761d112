"""Cron expressions: five fields to an APScheduler trigger."""

import re
from datetime import tzinfo

from apscheduler.triggers.cron import CronTrigger

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(
    r"(?:(?P<all>\*)|(?P<first>[a-z]{3}|\d)(?:-(?P<last>[a-z]{3}|\d))?)(?:/(?P<step>[1-7]))?", re.IGNORECASE
)


def make_trigger(cron: str, zone: tzinfo) -> CronTrigger:
    """The trigger of a cron expression with five fields, in this time zone. Raises ValueError.

    Days of the week are numbered as in cron: 0 and 7 are Sunday, and steps start there. APScheduler starts on Monday.
    """
    fields = cron.split()
    if len(fields) != 5:
        raise ValueError("must have five fields: minute, hour, day of month, month, day of week")
    return CronTrigger.from_crontab(" ".join([*fields[:4], _named_days(fields[4])]), timezone=zone)


def _named_days(field: str) -> str:
    """Replace day numbers with names, because cron and APScheduler number the days differently."""
    days = {day for part in field.split(",") for day in _days_of(part)}
    return "*" if len(days) == len(_DAYS) else ",".join(_DAYS[day] for day in sorted(days))


def _days_of(part: str) -> set[int]:
    found = _PART.fullmatch(part)
    if found is None:
        raise ValueError(f"{part!r} is not a day of the week. Use 0-7, 1-5, mon,thu or */2")
    if found["all"]:
        first, last = 0, 6
    else:
        first = _day(found["first"])
        last = _day(found["last"]) if found["last"] else (6 if found["step"] else first)
        last = 7 if found["last"] and last == 0 and first else last
    if first > last:
        raise ValueError(f"{part!r} ends before it starts. Write the earlier day first")
    return {day % 7 for day in range(first, last + 1, int(found["step"] or 1))}


def _day(text: str) -> int:
    if text.isdigit():
        if int(text) > 7:
            raise ValueError(f"{text!r} is not a day of the week. Use 0 to 7")
        return int(text)
    if text.lower() not in _DAYS:
        raise ValueError(f"{text!r} is not a day of the week. Use mon, tue, wed, thu, fri, sat or sun")
    return _DAYS.index(text.lower())
