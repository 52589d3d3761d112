"""Previews of one card that is already rendered, such as a digest."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from notifier.operations.preview.findings import find_card_problems
from notifier.operations.preview.result import PreviewChoice, RenderedPreview


class FixedCardPreview:
    """Shows one card. Implements the protocol PreviewSource.

    people: open_id, name and en_name of the people on the card.
    """

    def __init__(self, card: Mapping[str, Any], *, title: str, people: Sequence[Mapping[str, str]]) -> None:
        self._shown = RenderedPreview(
            title=title,
            choice=PreviewChoice(),
            card=card,
            people=people,
            findings=find_card_problems(card),
        )

    def list_choices(self) -> list[dict[str, Any]]:
        """There is nothing to choose."""
        return []

    def list_watched_files(self) -> list[Path]:
        """No file changes the card."""
        return []

    def render(self, choice: PreviewChoice) -> RenderedPreview:  # noqa: ARG002 - the protocol's argument
        """Return the card, whatever the choice."""
        return self._shown
