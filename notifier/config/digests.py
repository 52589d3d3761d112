"""Config of digests: when each comes, what it covers, and which days are worked."""

import re
from datetime import date
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, field_validator, model_validator

from notifier.config.fields import Number, Section, Zone, as_list
from notifier.cron import make_trigger
from notifier.domain.period import Span

GROUP_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class CalendarConfig(Section):
    closed_on: tuple[date, ...] = ()
    open_on: tuple[date, ...] = ()


class DigestConfig(Section):
    name: str
    to: Annotated[tuple[str, ...], BeforeValidator(as_list)] = Field(min_length=1)
    at: str = "09:07"
    cron: str | None = None
    time_zone: Zone | None = None
    period: Span = Span.DAY
    working_days: bool = False
    when_empty: Literal["say", "skip"] = "say"
    jitter_seconds: int = Field(default=120, ge=0, le=3600)
    chart_days: Literal[0, 7, 30] = 7
    rows: int = Field(default=20, ge=1, le=50)
    file: Literal["always", "when_cut", "never"] = "when_cut"
    withdraw: bool = True
    catch_up_hours: Number = Field(default=72, ge=0, le=24 * 31)

    @field_validator("name")
    @classmethod
    def _short(cls, value: str) -> str:
        if not GROUP_NAME.fullmatch(value):
            raise ValueError("is lower-case letters, digits, - and _, and begins with a letter")
        return value

    @field_validator("at")
    @classmethod
    def _time_of_day(cls, value: str) -> str:
        if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", value):
            raise ValueError('must be a time of day in quotes, such as "09:07"')
        return value

    @field_validator("cron")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                make_trigger(value, ZoneInfo("UTC"))
            except ValueError as error:
                raise ValueError(f"is no cron expression: {error}. Write for example 7 9 * * 1-5") from error
        return value

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if self.cron is not None and "at" in self.model_fields_set:
            raise ValueError("say either at or cron, not both")
        return self

    @property
    def expression(self) -> str:
        """As cron. Without one: every day, every Monday, or the first of every month."""
        if self.cron is not None:
            return self.cron
        hour, minute = (int(part) for part in self.at.split(":"))
        days = {Span.DAY: "* * *", Span.WEEK: "* * mon", Span.MONTH: "1 * *"}[self.period]
        return f"{minute} {hour} {days}"
