"""The save button of settings cards: whose it is, and what its form says."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from notifier.domain.preferences.choices import (
    CardLanguage,
    Frequency,
    Preferences,
    QuietHours,
    is_zone,
    read_minute,
)

PREFIX = "settings-"
OFF = "off"
"""The option of the quiet hours for none."""


class InvalidChoiceError(ValueError):
    """A choice is none of the options."""


class HalfQuietHoursError(ValueError):
    """Only the start or only the end of the quiet hours was chosen."""


class SameTimesError(ValueError):
    """The quiet hours begin and end at the same time."""


def make_settings_ref(delivery_id: int, delivery_key: str) -> str:
    """Return the id of the button on the card of a delivery. Nobody can make it without the key of the delivery."""
    secret = delivery_key.partition(".")[0]
    return (
        f"{PREFIX}{delivery_id}-{hashlib.sha256(f'{PREFIX}{delivery_id} {secret}'.encode()).hexdigest()[:32]}"
    )


def is_settings_ref(ref: str) -> bool:
    """Whether a button may be that of a settings card."""
    return ref.startswith(PREFIX)


def get_delivery_id(ref: str) -> int | None:
    """Return the delivery whose card has this button; None: the id has another form."""
    number = ref.removeprefix(PREFIX).partition("-")[0]
    is_number = ref.startswith(PREFIX) and number.isascii() and number.isdigit() and len(number) < 19
    return int(number) if is_number else None


def apply_form(known: Preferences, form: Mapping[str, str]) -> Preferences:
    """Return the preferences with what a form says. A field that is missing keeps its value.

    Raises InvalidChoiceError, HalfQuietHoursError or SameTimesError.
    """
    try:
        frequency = Frequency(form.get("frequency", known.frequency))
        language = CardLanguage(form.get("language", known.language))
        begin = _read_time(form, "quiet_from", known.quiet_hours.begin if known.quiet_hours else None)
        end = _read_time(form, "quiet_to", known.quiet_hours.end if known.quiet_hours else None)
    except ValueError as error:
        raise InvalidChoiceError(str(error)) from error
    zone = form.get("zone", known.zone)
    if zone and not is_zone(zone):
        raise InvalidChoiceError(f"there is no time zone {zone!r}")
    return replace(
        known,
        frequency=frequency,
        language=language,
        zone=zone,
        quiet_hours=_make_quiet_hours(begin, end),
    )


def _read_time(form: Mapping[str, str], name: str, known: int | None) -> int | None:
    text = form.get(name)
    if text is None:
        return known
    return None if text in (OFF, "") else read_minute(text)


def _make_quiet_hours(begin: int | None, end: int | None) -> QuietHours | None:
    if begin is None and end is None:
        return None
    if begin is None or end is None:
        raise HalfQuietHoursError
    if begin == end:
        raise SameTimesError
    return QuietHours(begin=begin, end=end)
