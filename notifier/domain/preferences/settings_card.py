"""Settings card: what a template may use to show the choices of a person, as `card`."""

from dataclasses import dataclass

from notifier.clock import Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneChoice:
    """A time zone that can be chosen."""

    value: str
    """IANA name."""
    label: str
    """What the reader sees: the present offset and the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsCard:
    """What `settings.json.j2` may use, as `card`."""

    ref: str
    """Opaque id of the save button, the only content of the button's value."""
    frequency: str
    """The chosen option: `instant`, `daily` or `weekly`."""
    quiet_from: str
    """Start of the quiet hours, such as 22:00; "": there are none."""
    quiet_to: str
    """End of the quiet hours; "": there are none."""
    times: tuple[str, ...]
    """The times that can be chosen, such as 22:00."""
    zone: str
    """The chosen time zone, an IANA name."""
    zones: tuple[ZoneChoice, ...]
    """The time zones that can be chosen; `zone` is one of them."""
    language: str
    """The chosen option: `feishu`, `zh` or `en`."""
    digest_at: str
    """When daily and weekly digests arrive, such as 09:00."""
    saved_at: Millis | None = None
    """When they were saved, Unix milliseconds; None: never."""
    saved_at_text: str = ""
    """The same time in the time zone of the person; "" if `saved_at` is None."""
    is_saved_now: bool = False
    """Whether the card answers the press that saved them."""
    waiting: int = 0
    """Number of notices that wait for the end of the quiet hours or for the digest."""
