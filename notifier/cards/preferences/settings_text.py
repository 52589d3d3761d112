"""Texts of the settings card, and the toasts that answer its button."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from notifier.cards.balance_text import moment
from notifier.cards.templating.texts import text
from notifier.clock import Millis, from_millis
from notifier.domain.preferences.choices import is_zone, write_minute
from notifier.domain.preferences.settings_card import SettingsCard, ZoneChoice
from notifier.domain.preferences.settings_state import SettingsState

STEP_MINUTES = 30
"""The pause between two times in a select."""
COMMON_ZONES = (
    *("Pacific/Honolulu", "America/Los_Angeles", "America/Denver", "America/Chicago", "America/New_York"),
    *("America/Sao_Paulo", "UTC", "Europe/London", "Africa/Lagos", "Europe/Paris", "Europe/Berlin"),
    *("Africa/Cairo", "Europe/Helsinki", "Europe/Istanbul", "Africa/Nairobi", "Asia/Riyadh", "Asia/Dubai"),
    *("Asia/Karachi", "Asia/Kolkata", "Asia/Dhaka", "Asia/Jakarta", "Asia/Bangkok", "Asia/Ho_Chi_Minh"),
    *("Asia/Shanghai", "Asia/Hong_Kong", "Asia/Taipei", "Asia/Singapore", "Asia/Kuala_Lumpur", "Asia/Manila"),
    *("Australia/Perth", "Asia/Seoul", "Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland"),
)
"""Time zones that the card offers, besides the person's own and the one of the configuration."""


class SettingsReply(StrEnum):
    """What a press of the save button leads to."""

    SAVED = "saved"
    NOT_YOURS = "not_yours"
    """Another person pressed."""
    UNKNOWN = "unknown"
    """There is no such card, or it is not the one that was sent."""
    SAME_TIMES = "same_times"
    """The quiet hours begin and end at the same time."""
    HALF = "half"
    """Only the start or only the end of the quiet hours was chosen."""
    INVALID = "invalid"
    """A choice is none of the options."""


_KINDS = {SettingsReply.SAVED: "success", SettingsReply.SAME_TIMES: "warning", SettingsReply.HALF: "warning"}


def settings_toast(reply: SettingsReply) -> dict[str, Any]:
    """Return the toast that answers a press of the save button."""
    shown = text(f"toast.settings.{reply}")
    return {
        "type": _KINDS.get(reply, "error"),
        "content": shown.zh,
        "i18n": {"zh_cn": shown.zh, "en_us": shown.en},
    }


def settings_card(state: SettingsState, *, now: Millis) -> SettingsCard:
    """Return what a settings card shows. now: Unix milliseconds, for the offsets of the time zones."""
    chosen, rules = state.preferences, state.rules
    zone = chosen.get_zone(rules.zone)
    quiet_hours = chosen.quiet_hours
    quiet_from = write_minute(quiet_hours.begin) if quiet_hours else ""
    quiet_to = write_minute(quiet_hours.end) if quiet_hours else ""
    listed = {write_minute(minute) for minute in range(0, 24 * 60, STEP_MINUTES)}
    return SettingsCard(
        ref=state.ref,
        frequency=chosen.frequency,
        quiet_from=quiet_from,
        quiet_to=quiet_to,
        times=tuple(sorted(listed | {each for each in (quiet_from, quiet_to) if each})),
        zone=zone.key,
        zones=_list_zones((zone.key, rules.zone.key), from_millis(now)),
        language=chosen.language,
        digest_at=write_minute(rules.digest_at),
        saved_at=chosen.changed_at,
        saved_at_text=moment(chosen.changed_at, zone) if chosen.changed_at is not None else "",
        is_saved_now=state.is_saved_now,
        waiting=state.waiting,
    )


def _list_zones(own: tuple[str, ...], now: datetime) -> tuple[ZoneChoice, ...]:
    """The time zones from west to east, each with its present offset."""
    known = {name for name in (*own, *COMMON_ZONES) if is_zone(name)} | set(own)
    offsets = {name: now.astimezone(ZoneInfo(name)).utcoffset() or timedelta() for name in known}
    ordered = sorted(known, key=lambda name: (offsets[name], name))
    return tuple(
        ZoneChoice(value=name, label=f"(UTC{_offset(ZoneInfo(name), now)}) {name}") for name in ordered
    )


def _offset(zone: ZoneInfo, now: datetime) -> str:
    shown = f"{now.astimezone(zone):%z}"
    return f"{shown[:3]}:{shown[3:5]}"
