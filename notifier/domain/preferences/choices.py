"""Choices of one person: how often notices arrive, the quiet hours, the time zone and the language of cards."""

import re
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo, available_timezones

from notifier.clock import Millis

MINUTES_OF_DAY = 24 * 60


class Frequency(StrEnum):
    """How often notices of balance changes arrive."""

    INSTANT = "instant"
    DAILY = "daily"
    WEEKLY = "weekly"


class CardLanguage(StrEnum):
    """Language of a person's cards."""

    FEISHU = "feishu"
    """The card has both languages, and Feishu shows the one of the reader's client."""
    ZH = "zh"
    EN = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """The time of day in which no notice arrives. It spans midnight if `begin` is later than `end`."""

    begin: int
    """First minute of the day, 0 to 1439."""
    end: int
    """First minute after it, 0 to 1439; differs from `begin`."""

    def contain(self, minute: int) -> bool:
        """Whether the minute of the day is in the quiet hours."""
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """The choices of one person. The defaults are those of a person who chose nothing."""

    open_id: str
    """The person."""
    frequency: Frequency = Frequency.INSTANT
    """How often notices of balance changes arrive."""
    quiet_hours: QuietHours | None = None
    """When no notice arrives; None: notices arrive at any time."""
    zone: str = ""
    """IANA name of the person's time zone; "": the one of the configuration."""
    language: CardLanguage = CardLanguage.FEISHU
    """Language of the person's cards."""
    changed_at: Millis | None = None
    """When the person saved them, Unix milliseconds; None: never."""

    def get_zone(self, default: ZoneInfo) -> ZoneInfo:
        """Return the person's time zone. default: used if the person has none, or if this system does not know it."""
        return ZoneInfo(self.zone) if is_zone(self.zone) else default


def is_zone(name: str) -> bool:
    """Whether this system knows an IANA time zone of this name."""
    return name in _zones()


def _zones() -> set[str]:
    global _known_zones  # noqa: PLW0603 - reading the list takes milliseconds
    if _known_zones is None:
        _known_zones = available_timezones()
    return _known_zones


_known_zones: set[str] | None = None
_CLOCK_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def read_minute(text: str) -> int:
    """Return the minute of the day of a time such as 22:30. Feishu adds an offset (`22:30 +0800`), which is ignored:
    the time is meant in the chosen time zone. Raises ValueError.
    """
    found = _CLOCK_TIME.fullmatch(text.partition(" ")[0])
    if found is None:
        raise ValueError(f"{text!r} is not a time such as 22:30")
    return int(found[1]) * 60 + int(found[2])


def write_minute(minute: int) -> str:
    """Return a minute of the day as a time such as 22:30."""
    return f"{minute // 60:02}:{minute % 60:02}"
