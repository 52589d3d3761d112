"""Decision: the answer to a press of a button on a card."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from notifier.domain.card_state import PostedCard

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to a press."""

    toast: Answer
    """The toast to show."""
    card: PostedCard | None = None
    """The card to show. None: the card does not change."""
    wakes: bool = False
    """Whether a worker has something to do: an order or a batch was placed, a send is to be repeated, or a held
    delivery may be released.
    """
    delivery_id: int | None = None
    """The delivery of the pressed card. None: unknown."""
    request: Mapping[str, str] | None = None
    """Fields of the log event about the order that was placed, for after the commit. None: none was."""
    result: str
    """What the press does, as a label of the metric: a PressOutcome, a PressReply, a DenialReason or a SettingsReply.
    """
