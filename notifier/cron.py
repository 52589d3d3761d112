"""Cron expressions, read by APScheduler."""

import re
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


def trigger(cron: str, zone: ZoneInfo) -> CronTrigger:
    """Five fields. Days of the week count as cron counts them: 0 and 7 are Sunday. Raises ValueError."""
    fields = cron.split()
    if len(fields) != 5:
        raise ValueError("must have five fields: minute, hour, day of month, month, day of week")
    fields[4] = re.sub(r"(?<![\d/])[0-7](?!\d)", lambda found: _DAYS[int(found[0])], fields[4])
    return CronTrigger.from_crontab(" ".join(fields), timezone=zone)
