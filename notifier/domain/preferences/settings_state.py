"""Settings state: what a posted settings card shows now."""

from dataclasses import dataclass

from notifier.domain.preferences.choices import Preferences
from notifier.domain.preferences.holding import HoldRules


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsState:
    """What a posted settings card shows now."""

    ref: str
    """Opaque id of the save button."""
    preferences: Preferences
    """The present choices of the person."""
    rules: HoldRules
    """The settings that apply to every person."""
    is_saved_now: bool = False
    """Whether the card answers the press that saved them."""
    waiting: int = 0
    """Number of notices that are held for the person."""
