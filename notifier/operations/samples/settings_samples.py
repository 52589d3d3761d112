"""Samples of the settings card."""

from collections.abc import Mapping
from dataclasses import replace

from notifier.cards.preferences.settings_text import settings_card
from notifier.clock import MINUTE_MS
from notifier.config.settings import Config
from notifier.domain.preferences.choices import CardLanguage, Frequency, Preferences, QuietHours, read_minute
from notifier.domain.preferences.holding import HoldRules
from notifier.domain.preferences.settings_card import SettingsCard
from notifier.domain.preferences.settings_state import SettingsState
from notifier.operations.samples.balance_samples import AT

_NEW = SettingsState(ref="sample", preferences=Preferences(open_id="ou_sample"), rules=HoldRules())
_CHOSEN = replace(
    _NEW,
    preferences=Preferences(
        open_id="ou_sample",
        frequency=Frequency.DAILY,
        quiet_hours=QuietHours(begin=22 * 60, end=8 * 60),
        zone="Europe/Berlin",
        language=CardLanguage.EN,
        changed_at=AT - 90 * MINUTE_MS,
    ),
)
_STATES: Mapping[str, SettingsState] = {
    "settings": _NEW,
    "settings-chosen": replace(_CHOSEN, waiting=1),
    "settings-saved": replace(
        _CHOSEN, preferences=replace(_CHOSEN.preferences, changed_at=AT), is_saved_now=True, waiting=3
    ),
}
SETTINGS_SAMPLES = tuple(_STATES)
"""Samples for the settings card."""


def make_settings_sample(name: str, config: Config) -> SettingsCard:
    """Build the card of a sample. Raises KeyError for an unknown name."""
    rules = HoldRules(digest_at=read_minute(config.preferences.digest_at), zone=config.cards.time_zone)
    return settings_card(replace(_STATES[name], rules=rules), now=AT)
