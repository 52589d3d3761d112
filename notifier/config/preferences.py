"""The section of what people choose on the settings card."""

from pydantic import field_validator

from notifier.config.fields import Section, SettingFault
from notifier.domain.preferences.choices import read_minute, write_minute


class PreferenceConfig(Section):
    """What people choose on the settings card."""

    digest_at: str = "09:00"
    """When daily and weekly digests arrive that people chose, in the time zone of each person."""

    @field_validator("digest_at")
    @classmethod
    def _time_of_day(cls, value: str) -> str:
        try:
            return write_minute(read_minute(value))
        except ValueError as error:
            raise SettingFault(
                'must be a time of day in quotation marks, such as "09:00"',
                '必须是带引号的时刻，例如 "09:00"',
            ) from error
