"""The app in Feishu's developer console: the settings that are being edited, and those of the published version.

Running faults of the types `setup:...` change what is in force, and leave the settings themselves unchanged.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.event_types import BALANCE_EVENT, PUSHABLE_EVENTS

CARD_CALLBACK = "card.action.trigger"
LONG_CONNECTION = "long_connection"
MODES = ("", LONG_CONNECTION)
"""How the app receives events or callbacks; "" for not chosen. A webhook of the sandbox needs no choice."""
ACTIVATED, NEVER_PUBLISHED, DISABLED = 2, 0, 1
"""`activate_status` of `bot/v3/info`."""
GRANTED, NOT_GRANTED = 1, 2
"""`grant_status` of a scope."""


class BadConsoleChangeError(ValueError):
    """An invalid change in the console. The text is shown to the caller."""


@dataclass(slots=True, kw_only=True)
class AppSettings:
    """The settings of one version of the app."""

    scopes: set[str] = field(default_factory=set)  # permission scopes
    bot: bool = False  # the ability Bot
    event_mode: str = ""  # one of MODES
    events: set[str] = field(default_factory=set)  # subscribed event types
    callback_mode: str = ""  # one of MODES
    callbacks: set[str] = field(default_factory=set)  # subscribed callbacks
    availability: bool = False  # everybody may receive messages of the bot; otherwise nobody
    contact_range: bool = False  # the app may read everybody; otherwise nobody

    def copy(self) -> "AppSettings":
        """The same settings, which can be changed on their own."""
        return replace(self, scopes=set(self.scopes), events=set(self.events), callbacks=set(self.callbacks))

    def to_json(self) -> JsonObject:
        """All settings as JSON."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: sorted(value) if isinstance(value, set) else value for name, value in values.items()}


def _no_faults(_name: str) -> Sequence[Mapping[str, Any]]:
    return ()


class AppConsole:
    """The draft of the app and its published version.

    find_faults: returns the options of the running faults of a type.
    """

    def __init__(self, scopes: set[str], *, is_fresh: bool, events: Iterable[str]) -> None:
        """is_fresh: nothing is set or published. Otherwise everything is, with these subscribed events."""
        complete = AppSettings(
            scopes=set(scopes),
            bot=True,
            event_mode=LONG_CONNECTION,
            events=set(events),
            callback_mode=LONG_CONNECTION,
            callbacks={CARD_CALLBACK},
            availability=True,
            contact_range=True,
        )
        self.draft = AppSettings() if is_fresh else complete
        self.published: AppSettings | None = None if is_fresh else complete.copy()
        self.find_faults: Callable[[str], Sequence[Mapping[str, Any]]] = _no_faults

    def change(self, changes: JsonObject, *, is_connected: bool) -> None:
        """Changes the draft. The change takes effect with the next `publish`. Raises BadConsoleChangeError.

        is_connected: whether a client is connected, without which the long connection cannot be chosen.
        """
        new = self.draft.copy()
        for name, value in changes.items():
            if name not in AppSettings.__slots__:
                raise BadConsoleChangeError(
                    f"there is no setting {name!r}; settings: {', '.join(AppSettings.__slots__)}"
                )
            setattr(new, name, checked_setting(name, value))
        chosen = [name for name in ("event_mode", "callback_mode") if getattr(new, name)]
        if any(getattr(self.draft, name) != getattr(new, name) for name in chosen) and not is_connected:
            raise BadConsoleChangeError(
                "no long connection is established: start the client, then save again"
            )
        for mode, names in (("event_mode", new.events), ("callback_mode", new.callbacks)):
            if names and not getattr(new, mode):
                raise BadConsoleChangeError(f"choose the subscription mode first: {mode}")
        self.draft = new

    def publish(self) -> None:
        """Publishes the draft as a new version, which the administrator approves at once."""
        self.published = self.draft.copy()

    @property
    def has_unpublished_changes(self) -> bool:
        """Whether the draft differs from the published version."""
        return self.published != self.draft

    @property
    def live(self) -> AppSettings:
        """The settings in force: those of the published version, changed by running faults."""
        if self.published is None or self.find_fault("setup:unpublished") is not None:
            return AppSettings()
        live = self.published.copy()
        live.scopes -= self._missing_scopes
        if self.find_fault("setup:event_not_subscribed") is not None:
            live.events.discard(BALANCE_EVENT)
        if self.find_fault("setup:callback_not_subscribed") is not None:
            live.callbacks.clear()
        if self.find_fault("setup:bot_off") is not None:
            live.bot = False
        if self.find_fault("setup:contact_range_empty") is not None:
            live.contact_range = False
        return live

    @property
    def _missing_scopes(self) -> set[str]:
        return {options["scope"] for options in self.find_faults("setup:scope_missing")}

    def find_fault(self, name: str) -> Mapping[str, Any] | None:
        """The options of the oldest running fault of a type, None if none is running."""
        return next(iter(self.find_faults(name)), None)

    @property
    def scopes(self) -> set[str]:
        """The granted scopes, which every call reads."""
        return self.live.scopes

    def set_scopes(self, scopes: set[str]) -> None:
        """Adds exactly these scopes and publishes them."""
        self.draft.scopes = set(scopes)
        if self.published is not None:
            self.published.scopes = set(scopes)

    @property
    def activate_status(self) -> int:
        """The status of the app in the tenant."""
        if self.find_fault("setup:app_disabled") is not None:
            return DISABLED
        is_published = self.published is not None and self.find_fault("setup:unpublished") is None
        return ACTIVATED if is_published else NEVER_PUBLISHED

    def list_scopes(self) -> list[JsonObject]:
        """Every scope of the draft, and whether it is granted. A scope that a fault takes away is not listed."""
        live = self.scopes
        listed = sorted((self.draft.scopes | live) - self._missing_scopes)
        return [
            {
                "scope_name": name,
                "scope_type": "tenant",
                "grant_status": GRANTED if name in live else NOT_GRANTED,
            }
            for name in listed
        ]

    def to_json(self) -> JsonObject:
        """The draft, whether a version is published and differs from it, and the events that the console offers."""
        return {
            "draft": self.draft.to_json(),
            "event_types": sorted(PUSHABLE_EVENTS),
            "is_published": self.published is not None,
            "has_unpublished_changes": self.has_unpublished_changes,
        }


def checked_setting(name: str, value: object) -> object:
    """The value of a setting. Raises BadConsoleChangeError."""
    if name in ("scopes", "events", "callbacks"):
        if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            raise BadConsoleChangeError(f'"{name}" must be a list of names')
        return set(value)
    if name.endswith("_mode"):
        if value not in MODES:
            raise BadConsoleChangeError(f'"{name}" must be "" or "{LONG_CONNECTION}"')
        return value
    if not isinstance(value, bool):
        raise BadConsoleChangeError(f'"{name}" must be true or false')
    return value
