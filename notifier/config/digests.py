"""Digest settings: schedule and content of each digest, and the calendar of working days."""

import re
from datetime import date
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, field_validator, model_validator

from notifier.config.cron import make_trigger
from notifier.config.fields import Number, Section, SettingFault, Zone, as_list
from notifier.domain.period import Span

GROUP_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class CalendarConfig(Section):
    """Exceptions from the working week (Monday to Friday)."""

    closed_on: tuple[date, ...] = ()
    """Weekdays that are not working days."""
    open_on: tuple[date, ...] = ()
    """Saturdays and Sundays that are working days."""


class DigestConfig(Section):
    """One digest."""

    name: str
    """Unique name: lower-case letters, digits, - and _."""
    to: Annotated[tuple[str, ...], BeforeValidator(as_list)] = Field(min_length=1)
    """Targets: `referrer` or group names."""
    at: str = "09:07"
    """Time of day, HH:MM."""
    cron: str | None = None
    """Cron expression with five fields, instead of `at`."""
    time_zone: Zone | None = None
    """Time zone of schedule and period; None: cards.time_zone."""
    period: Span = Span.DAY
    """Length of the reported period."""
    working_days: bool = False
    """Whether the digest is sent on working days only."""
    when_empty: Literal["send", "skip"] = "send"
    """What to do if the period has no changes: send a card that says so, or skip the digest."""
    jitter_seconds: int = Field(default=120, ge=0, le=3600)
    """Maximum random delay, in seconds."""
    chart_days: Literal[0, 7, 30] = 7
    """Number of days in the chart; 0: no chart."""
    rows: int = Field(default=20, ge=1, le=50)
    """Maximum number of table rows on the card."""
    file: Literal["always", "when_cut", "never"] = "when_cut"
    """When to send all rows as a file: always, when the table is truncated, or never."""
    withdraw: bool = True
    """Whether the card offers withdrawals."""
    catch_up_hours: Number = Field(default=72, ge=0, le=24 * 31)
    """A digest that was due during downtime is sent later within this time, in hours."""

    @field_validator("name")
    @classmethod
    def _short(cls, value: str) -> str:
        if not GROUP_NAME.fullmatch(value):
            raise SettingFault(
                "must consist of lower-case letters, digits, - and _, and start with a letter",
                "只能包含小写字母、数字、- 和 _，并以字母开头",
            )
        return value

    @field_validator("at")
    @classmethod
    def _time_of_day(cls, value: str) -> str:
        if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", value):
            raise SettingFault(
                'must be a time of day in quotes, such as "09:07"', '必须是带引号的时间，例如 "09:07"'
            )
        return value

    @field_validator("cron")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                make_trigger(value, ZoneInfo("UTC"))
            except ValueError as error:
                raise SettingFault(
                    f"is not a cron expression: {error}. Example: 7 9 * * 1-5",
                    f"不是 cron 表达式（“{error}”），示例：7 9 * * 1-5",
                ) from error
        return value

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if self.cron is not None and "at" in self.model_fields_set:
            raise SettingFault("set either at or cron, not both", "at 和 cron 只能设置一个")
        return self

    @property
    def expression(self) -> str:
        """The schedule as a cron expression. `at` means every day, Monday or first of the month, by period."""
        if self.cron is not None:
            return self.cron
        hour, minute = (int(part) for part in self.at.split(":"))
        days = {Span.DAY: "* * *", Span.WEEK: "* * mon", Span.MONTH: "1 * *"}[self.period]
        return f"{minute} {hour} {days}"
